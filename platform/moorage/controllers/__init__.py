"""What makes it true: one module per controller, each a client of the API.

A reconcile gets a key and nothing else; it reads state, compares, acts, and is idempotent. Decisions are pure functions.
"""
