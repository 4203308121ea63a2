"""Cloud Tasks: queues, what waits in them, and the calls by which it is done."""
