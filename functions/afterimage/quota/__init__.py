"""Quota: how many bytes each user holds, what is promised to uploads under way, and what to say when room runs out."""
