"""Quotas and limits on running servers."""
