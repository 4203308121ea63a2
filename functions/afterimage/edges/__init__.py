"""What stands between the functions and services of others."""
