"""What the application answers."""
