"""What is kept for each project: accounts, codes that would travel by e-mail, switches (no HTTP in here)."""
