"""What the tenants controller decides."""
