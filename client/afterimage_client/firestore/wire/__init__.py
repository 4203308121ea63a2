"""Firestore's wire: its messages, and the one place that sends them."""
