"""Patches, each against its specification and Kubernetes' behaviour."""
