"""Messages to Pub/Sub topics about what happens to the objects of a bucket."""
