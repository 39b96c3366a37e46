"""Many operations in one request: transactions (all or none) and batches (each alone).

Lives here: the wire form, the transactor, and the two endpoints.
Does not live here: what a single operation means (``moorage.api.writing``).
"""
