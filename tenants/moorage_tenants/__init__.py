"""Who may do what, and how much: identities, tokens, roles, sealing of secrets, audit.

Implements the contracts that ``moorage.api.contracts`` and ``moorage.store.contracts`` declare; ``moorage.server`` wires them.
"""
