"""Saved files in users' Drives: what is there, what is to go there, and what people did."""
