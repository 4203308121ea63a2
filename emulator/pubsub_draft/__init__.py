"""Pub/Sub: topics and what is published to them, for functions."""
