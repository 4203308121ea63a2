"""Messages that no official package describes, made of tables."""
