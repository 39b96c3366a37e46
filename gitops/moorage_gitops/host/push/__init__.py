"""A push, from the hooks' side: what Git asks before it keeps a pack and before it moves a ref, and what is answered."""
