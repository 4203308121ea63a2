"""Who a request is from, and the signature of servers that ask in a user's name."""
