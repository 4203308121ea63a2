"""Failures on demand for the authors of clients, in the form of the storage testbench."""
