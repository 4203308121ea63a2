"""A user's Google Drive: linked by consent, and given every version of what the user saves."""
