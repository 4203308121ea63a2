"""The console: a page for developers on port 4000, and what it asks; imported when somebody opens it."""
