"""Namespaces: emptied when they are deleted, given a ``default`` ServiceAccount and the CA of the API while they live.

``conditions`` words what is left, ``lifecycle`` empties, ``service_account`` and ``root_ca`` provide.
"""
