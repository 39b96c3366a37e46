"""Attacks on a whole installation, each of which must fail; one module per family.

``docs/security.md`` lists every test of this package with what it attacks and what stands in the way; ``test_listed`` fails where
the two differ. What holds on a real node's kernel is tried where the node is tested (``tests/integration/agent``, ``network``).
"""
