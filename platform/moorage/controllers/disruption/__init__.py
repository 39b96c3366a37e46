"""How many pods of each PodDisruptionBudget may be evicted now.

``plan`` counts, from documents and the time; ``controller`` reads caches and writes the status. Evictions themselves are the
API's (``pods/eviction``), which takes what this grants.
"""
