"""These tests commit often: their files lie in memory."""

from tests.client.quick_folder import tmp_path

__all__ = ["tmp_path"]
