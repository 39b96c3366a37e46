"""Ranges of Services' addresses: whether each is ready, and that none goes while addresses of it are used. ``plan`` is pure."""
