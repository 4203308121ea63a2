"""Routes that only one machine has: how it is, what waits in its queue, and trying that at once."""
