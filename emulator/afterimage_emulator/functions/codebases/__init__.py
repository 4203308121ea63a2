"""A folder of functions as it is loaded, watched and reloaded: what it declares, and its host process."""
