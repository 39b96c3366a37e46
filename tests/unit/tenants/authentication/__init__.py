"""Credentials of every sort: whose they are, and which are refused."""
