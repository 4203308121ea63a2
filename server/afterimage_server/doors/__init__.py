"""What one machine serves beside the API: bytes by signed addresses, and how it is."""
