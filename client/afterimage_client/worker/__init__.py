"""The worker of generations: opens a user's generation, uploads what was made, ends it whatever happens.

A worker is a server: it writes past the security rules, in the name of a caller whom it can prove.
"""
