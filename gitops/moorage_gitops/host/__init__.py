"""The Git host: smart HTTP, hooks, reading manifests from a commit, and handing them to the transaction primitive.

An endpoint of the API server. Git itself is always a subprocess with a clean configuration; nothing a tenant pushes is executed.
"""
