"""Which node runs a pod: filters and scores over NumPy arrays, binding in batches through the API.

Lives here: the pure placement and the thin loop around it. Does not live here: preemption of the store, node health.
"""
