"""Security rules in front of objects: which rules guard which bucket, and the store as users meet it."""
