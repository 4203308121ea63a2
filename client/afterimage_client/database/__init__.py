"""What the queue and the store stand on: one SQLite file, values as text, values sealed, and the time."""

from afterimage_client.database.clock import Clock
from afterimage_client.database.encoding import Encoding, ValueKind
from afterimage_client.database.file import MEMORY, Connect, Database, FileTransaction, Row, Schema
from afterimage_client.database.sealing import Sealer, StoreKey

__all__ = [
    "MEMORY",
    "Clock",
    "Connect",
    "Database",
    "Encoding",
    "FileTransaction",
    "Row",
    "Schema",
    "Sealer",
    "StoreKey",
    "ValueKind",
]
