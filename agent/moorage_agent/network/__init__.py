"""The network of a node's pods: addresses and links, Services and NetworkPolicies as rules of the kernel, routes to other nodes,
and the cluster's DNS. What decides (``rules``, ``dns.zone``) is pure; what touches the kernel is thin (``links``, ``nft``).
"""
