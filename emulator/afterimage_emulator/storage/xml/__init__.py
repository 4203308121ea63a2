"""The XML API: plain paths, forms, listings and uploads in parts, as S3 tools, signed URLs and browsers use them."""
