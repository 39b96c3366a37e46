"""The node agent against a real API server and a real Docker Engine."""
