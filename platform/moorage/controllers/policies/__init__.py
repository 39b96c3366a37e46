"""NetworkPolicies with their selectors resolved to addresses (PolicyRules): all that a node is told. ``plan`` is pure."""
