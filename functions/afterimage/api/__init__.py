"""The HTTP API: one table of routes makes dispatch, OpenAPI, the page of documentation and what tests walk through."""
