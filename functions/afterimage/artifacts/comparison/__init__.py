"""Comparison: what differs between two versions, within bounds of bytes and of steps."""
