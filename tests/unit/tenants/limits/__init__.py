"""Charges, quotas, limit ranges, priorities."""
