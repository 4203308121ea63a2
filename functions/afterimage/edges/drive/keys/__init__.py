"""What keeps the permissions of users: sealed under keys that are kept outside the database."""
