"""Namespaces: emptied when they are deleted, and given a ``default`` ServiceAccount while they live.

``conditions`` words what is left, ``lifecycle`` empties, ``service_account`` provides.
"""
