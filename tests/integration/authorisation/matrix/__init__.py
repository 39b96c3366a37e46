"""Every endpoint of the composed server against everybody: what each may, written down by hand, and nothing beside it."""
