"""The API machinery, without a server."""
