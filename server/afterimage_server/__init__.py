"""One machine's server: the API over a database and a folder, with no account and no cloud."""
