"""A local Firebase suite in pure Python: Firestore, Storage, Auth, Pub/Sub and functions on one event loop."""

import time

BEGAN_AT = time.perf_counter()
"""When this package was first imported: what `start` counts from when it says how long it took."""
