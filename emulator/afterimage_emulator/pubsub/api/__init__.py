"""The Publisher and Subscriber APIs over gRPC and REST."""
