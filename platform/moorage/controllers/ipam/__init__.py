"""Which range of pod addresses each node has (``spec.podCIDR``). ``plan`` decides and is pure; ``controller`` writes."""
