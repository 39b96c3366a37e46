"""The node itself: what it has, that it lives, and how it is. Registers the Node and keeps its Lease and status."""
