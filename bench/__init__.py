"""Benchmarks: one script a figure, each printing it beside its floor."""
