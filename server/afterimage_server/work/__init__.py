"""What one machine does by itself: tasks from a durable queue, jobs by the clock, and looking after its folder."""
