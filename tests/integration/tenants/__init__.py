"""Tokens, roles and sealing in a running installation."""
