"""Cloud Firestore: documents, transactions, queries, listeners and triggers, spoken over gRPC and REST."""
