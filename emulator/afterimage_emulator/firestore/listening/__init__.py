"""Listeners: which targets a change concerns, and the stream that tells about it."""
