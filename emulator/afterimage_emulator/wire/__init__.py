"""The wire: HTTP/1.1 and gRPC over HTTP/2 on one port, and the shapes that services see."""
