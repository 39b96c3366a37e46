"""How it is spoken: the Kubernetes API over HTTP.

Lives here: discovery, verbs, patches, watch encoding, tables, OpenAPI, errors, admission chain, transactions, node tunnels.
Does not live here: SQL, policies (their contracts are in ``contracts``; ``moorage_tenants`` implements them), controllers.
"""
