"""Keeps what is in use from going: claims that a pod on a node mounts, volumes that a claim is bound to.

``decide`` says who is in use, from documents; ``controller`` takes the finalizers away that the API's admission gave
(``moorage_tenants.limits.claims``).
"""
