"""Moorage's control plane: what exists, where it is kept, how it is spoken, what makes it true.

Layers, top to bottom (import-linter enforces them): ``cli``; ``server`` and ``supervisor``; ``api``; ``store``; ``resources``.
Beside them stand the clients of the API: ``client``, ``controllers``, ``scheduler``.
"""

__version__ = "0.1.0"
