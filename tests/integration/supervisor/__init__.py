"""Installations that start, crash, carry on and end."""
