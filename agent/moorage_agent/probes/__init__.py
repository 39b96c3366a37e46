"""Probes and lifecycle hooks: asking a container how it is, over HTTP, TCP or a command in it."""
