"""Schemas of messages: Avro and protocol buffers, read, compared with older revisions, and held against messages."""
