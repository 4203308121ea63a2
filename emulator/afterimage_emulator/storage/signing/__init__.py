"""Signed URLs and POST policies: what was signed, by whose key, and whether it holds (no HTTP routes in here)."""
