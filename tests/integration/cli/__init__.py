"""Commands against a running installation."""
