"""What the local suite costs: each service beside its peer, and what starting it takes."""
