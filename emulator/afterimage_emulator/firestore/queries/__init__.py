"""Queries: what they ask, how it is found, and what is computed over the results."""
