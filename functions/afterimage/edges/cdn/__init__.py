"""Content delivery networks behind one port."""
