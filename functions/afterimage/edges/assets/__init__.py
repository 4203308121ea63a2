"""The origin that a CDN, or anybody, fetches published files from."""
