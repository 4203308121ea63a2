"""What was deleted and may come back."""
