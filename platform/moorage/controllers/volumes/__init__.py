"""Persistent volumes: claims find volumes, volumes follow what becomes of their claims.

``matching`` says which volume suits a claim, ``plan`` what is to become of a claim or a volume, both from documents;
``controller`` carries it out. What nodes do with volumes does not live here.
Source: Kubernetes' ``pkg/controller/volume/persistentvolume``.
"""
