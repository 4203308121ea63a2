"""The store: documents by compare-and-set, files by generation, and the clients behind both."""
