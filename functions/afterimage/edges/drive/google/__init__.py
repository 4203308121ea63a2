"""Google over the wire: consent, Drive, and uploads that resume."""
