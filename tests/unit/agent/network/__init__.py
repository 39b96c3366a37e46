"""The pure parts of a node's network: names of the DNS, addresses, rules, routes."""
