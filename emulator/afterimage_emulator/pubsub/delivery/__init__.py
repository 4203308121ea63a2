"""Messages on their way out unasked: pushed to endpoints, and handed to functions."""
