"""Exports of databases: the official format read and written, and what it has no room for kept beside it."""
