"""What people read about decisions: why a request was denied, and which expressions were ever evaluated."""
