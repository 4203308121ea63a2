"""Delivery: triggers, decoding, once from at-least-once, dead letters, messages."""
