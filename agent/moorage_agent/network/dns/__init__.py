"""The cluster's DNS, answered on each node from the Services and EndpointSlices that the node knows anyway.

``zone`` knows names and is pure; ``server`` speaks the protocol; ``upstream`` asks the machine's own resolvers for the rest.
Source: Kubernetes' "DNS-Based Service Discovery" 1.1.0.
"""
