"""The cloud behind one machine: everything is here first, and goes there in the background, once."""
