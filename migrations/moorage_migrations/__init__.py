"""Alembic migrations of the store's schema: expand first, contract a release later."""
