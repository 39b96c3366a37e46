"""A node apart: an agent in a network of its own with a Docker Engine of its own, so that one machine has several nodes.

``underlay`` is the network between such nodes and their machine, ``engine`` the Docker Engine, ``relay`` the way to what
listens on the machine's loopback addresses (the API server, resolvers), ``launch`` starts and ends it all. Nothing here knows
of pods: the agent that runs in there is the same as everywhere.
"""
