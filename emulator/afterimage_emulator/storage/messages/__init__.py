"""What the dialects share of HTTP and JSON: fields of requests, resources, downloads."""
