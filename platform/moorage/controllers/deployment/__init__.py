"""Deployments: from one template to the next, a few pods at a time.

``view`` reads documents, ``revisions`` names and numbers ReplicaSets, ``rollout`` and ``proportional`` decide their sizes,
``status`` the conditions, ``plan`` puts that together, ``controller`` writes it.
"""
