"""The tests of the command write stores in memory."""

from tests.client.quick_folder import tmp_path

__all__ = ["tmp_path"]
