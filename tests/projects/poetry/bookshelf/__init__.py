"""Remembers who has borrowed which book."""
