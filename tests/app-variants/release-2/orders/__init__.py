"""Takes and shows orders."""

__version__ = "1.1.0"
