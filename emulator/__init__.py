"""A local Firebase suite in pure Python: Firestore, Storage, Auth, Pub/Sub and functions on one event loop."""
