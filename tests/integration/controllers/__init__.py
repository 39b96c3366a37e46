"""Moorage's controllers against the real API server."""
