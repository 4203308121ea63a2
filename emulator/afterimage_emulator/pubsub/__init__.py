"""Pub/Sub: topics, subscriptions, delivery by pull, by stream, by push, and to functions."""
