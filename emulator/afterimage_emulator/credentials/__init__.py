"""Credentials for local use: a service account that is none, what it signs, and tokens that prove nothing."""
