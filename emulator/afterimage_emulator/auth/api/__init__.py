"""The REST dialects of sign-in and user management, and the emulator's own routes."""
