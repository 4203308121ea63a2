"""The user whom a request comes from, and the signature of servers that ask in a user's name."""
