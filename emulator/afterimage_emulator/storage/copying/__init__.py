"""Objects made of other objects: put together, and copied in steps."""
