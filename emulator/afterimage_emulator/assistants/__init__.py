"""What assistants are given of a running suite, over the Model Context Protocol."""
