"""Addresses for Services of type LoadBalancer, from a pool that the platform is given. ``plan`` decides and is pure."""
