"""Cases put before rules that a running service enforces, over the wire."""
