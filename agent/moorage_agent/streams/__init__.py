"""What the API server asks this node for over its tunnel: logs, commands in containers, connections to pods."""
