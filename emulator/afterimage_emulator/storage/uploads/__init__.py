"""Bytes on their way in, whatever dialect they came in."""
