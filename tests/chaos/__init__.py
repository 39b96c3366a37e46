"""See the docstring of ``tests`` for what belongs in ``chaos``."""
