"""The functions runtime: finds the functions of each codebase, runs them in processes, and brings events to them."""
