"""App Check: tokens for local use, which functions and tests may make and verify, and the routes that give them."""

from afterimage_emulator.auth.app_check.app_check_tokens import (
    AppCheckError,
    AppCheckToken,
    make_app_check_token,
    verify_app_check_token,
)

__all__ = ["AppCheckError", "AppCheckToken", "make_app_check_token", "verify_app_check_token"]
