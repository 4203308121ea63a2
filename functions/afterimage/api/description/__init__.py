"""The table of routes as others read it: machines in OpenAPI, people in pages."""
