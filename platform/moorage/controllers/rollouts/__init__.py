"""Has workloads written again when a Secret or ConfigMap that they watch changes; the server decides whether they roll out.

Does not live here: what the hash is made of (``moorage_tenants.secret_service.rollout``), how pods are replaced (``deployment``).
"""
