"""Owns the import path of the functions, which the server serves, and folders that lie in memory."""

from tests.client.quick_folder import tmp_path
from tests.functions.conftest import FUNCTIONS

__all__ = ["FUNCTIONS", "tmp_path"]
