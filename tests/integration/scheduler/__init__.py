"""Moorage's scheduler against the real API server."""
