"""Lists what the shop sells."""
