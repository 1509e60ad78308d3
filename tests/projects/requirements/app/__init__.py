"""Shows the weather of a town."""
