"""`python -m afterimage_client.worker`: serves the offline generator over HTTP, to try a client against."""

from __future__ import annotations

from afterimage_client.worker.handlers.serving import serve

if __name__ == "__main__":
    raise SystemExit(serve())
