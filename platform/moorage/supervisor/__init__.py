"""A whole installation on one machine: embedded PostgreSQL, certificates, kubeconfig, and the supervised processes
of ``moorage up``.

Does not live here: anything that a production installation with its own PostgreSQL and service manager would need.
"""
