"""Logging in, for real: providers, tokens and certificates against a running platform."""
