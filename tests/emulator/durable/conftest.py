"""What tests of kept data share with those of functions."""

from tests.emulator.functions.conftest import write_codebase

__all__ = ["write_codebase"]
