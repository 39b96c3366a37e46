"""Moorage's client against the real API server."""
