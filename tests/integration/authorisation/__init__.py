"""Rights over the wire: roles, bindings, reviews, impersonation, tenants."""
