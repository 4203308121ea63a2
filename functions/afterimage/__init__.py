"""Afterimage: what happens after a client's write, as functions on Firebase."""
