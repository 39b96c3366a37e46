"""The node agent's pure parts, and its workers on the fake engine."""
