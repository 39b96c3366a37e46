"""A node: runs the pods bound to it on a container engine, and reports what they do.

Lives here: pod workers, the engine contract with its Docker and fake implementations, volumes, probes, status, logs tunnel.
Dials the API server; nothing dials it.
"""
