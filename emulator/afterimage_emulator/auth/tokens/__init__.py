"""Tokens of sign-in, and the sessions that issue them and know whose they are."""
