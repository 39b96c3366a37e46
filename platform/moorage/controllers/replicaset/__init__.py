"""ReplicaSets: as many pods of a template as are wanted.

``ranking`` and ``status`` and ``plan`` decide; ``controller`` reads, asks them and writes.
"""
