"""Links of users to their Google Drive, from the first click to the last."""
