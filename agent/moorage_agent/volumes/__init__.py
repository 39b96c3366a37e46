"""Volumes: files and folders of the host, prepared for a pod and bind-mounted into its containers.

Nothing is ever copied into a container through the engine, and no path that a user wrote is resolved but beneath its volume.
"""
