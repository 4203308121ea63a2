"""Rules by which objects are deleted or change their class as they grow old."""
