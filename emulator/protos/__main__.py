"""`python -m emulator.protos` collects the descriptors ahead of the suite's first start."""

from __future__ import annotations

from emulator.protos.pool import message_class

message_class("google.firestore.v1.Document")
