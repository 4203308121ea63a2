"""What is kept on disk with `--data`: one journal for all services, so that one wait for the disk covers them all."""

from typing import Final

DATA_VARIABLE: Final = "AFTERIMAGE_DATA"
"""What `--data` is in the environment."""
