"""What the bench of Storage measures against."""
