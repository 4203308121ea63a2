"""Folders: those of hierarchical buckets, and managed ones."""
