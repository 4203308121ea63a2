"""A generator that needs no model and no network: it stands in for one in examples and tests."""
