"""The rooms of the API: rows of the table, and the handlers that they name."""
