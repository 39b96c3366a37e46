"""Nodes that fall silent, and the pods on them.

``health`` says what silence means, ``taints`` which taints a node's conditions call for, ``eviction`` when a pod must leave;
``lifecycle``, ``evictor`` and ``pod_gc`` do it.
"""
