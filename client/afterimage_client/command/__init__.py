"""The command `afterimage-client`: what a person at a terminal asks of a store, and tells it."""
