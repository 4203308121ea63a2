"""Buckets and objects as they stand, and their bytes on disk: no HTTP in here."""
