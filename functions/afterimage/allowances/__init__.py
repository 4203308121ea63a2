"""What one account may have the functions do in a day, so that nobody can make the bill of all."""
