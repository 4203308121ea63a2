"""Switches on the suite's pytest fixtures for every test of the project."""

pytest_plugins = ["emulator.pytest_plugin"]
