"""Rules of tenants without a server."""
