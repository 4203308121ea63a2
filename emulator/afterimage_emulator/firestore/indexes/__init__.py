"""Which indexes production would read for a query, and which of those are declared nowhere."""
