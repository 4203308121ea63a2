"""Cloud Storage's own dialect in JSON: buckets, objects, uploads, and what belongs to them."""
