"""Inspection: what a stored file is, judged by its bytes and within limits, before anything decodes it."""
