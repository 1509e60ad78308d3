"""Takes and shows orders."""

__version__ = "1.0.0"
