"""Eventarc's channels: events that programs publish themselves, for functions that asked for their kind."""
