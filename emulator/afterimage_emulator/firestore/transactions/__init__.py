"""Transactions: what they read and lock, in which order locks are had, and which database they belong to."""
