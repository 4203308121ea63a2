"""Jobs: batch work that a Pub/Sub message or a schedule starts."""
