"""What the world may see: the decision, and how it is taken back."""
