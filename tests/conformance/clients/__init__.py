"""The client libraries that people write Python against Kubernetes with, unmodified."""
