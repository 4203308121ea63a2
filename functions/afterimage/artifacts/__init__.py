"""Artifacts: what users save with versions, the bytes beneath, and uploads on their way. No HTTP in it."""
