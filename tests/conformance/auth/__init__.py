"""What the official Auth emulator and this one answer to the same requests, side by side."""
