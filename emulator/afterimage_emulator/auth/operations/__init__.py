"""What is done with accounts: signing in, changing, administering, importing. No HTTP in here."""
