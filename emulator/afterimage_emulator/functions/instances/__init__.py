"""Processes that serve functions: as many as the work wants, each with its requests, its output and its limits."""
