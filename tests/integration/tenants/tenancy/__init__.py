"""Tenants against a real API server and PostgreSQL."""
