"""Documents in SQLite and files in a folder, as the ports of the functions ask for them."""
