"""How a write is planned and carried out: admission, strategy, validation, and what the store is asked to do.

Lives here: planning against a view of the objects (the caches, or a transaction's overlay) and turning a plan into a commit.
Does not live here: HTTP, query parameters, decoding of bodies.
"""
