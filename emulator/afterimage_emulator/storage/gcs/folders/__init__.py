"""Folders in the JSON API."""
