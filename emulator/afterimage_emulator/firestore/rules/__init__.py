"""Security rules in front of documents: who may read and write what, and how rules see stored values."""
