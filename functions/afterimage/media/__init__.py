"""Media: every stored file becomes what an app needs of it (inspect → plan → render → publish)."""
