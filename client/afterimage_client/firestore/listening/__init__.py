"""Listening: what a Listen stream says becomes consistent changes, and the stream outlives whatever breaks it."""
