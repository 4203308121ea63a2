"""What a bucket is set to do, in the JSON API's own form: read, checked, and completed by the server (pure)."""
