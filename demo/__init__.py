"""A first look: programs that use Afterimage as its clients do, through the official SDKs alone."""
