"""Local Firebase Auth: accounts, and the identity that a request's token claims."""
