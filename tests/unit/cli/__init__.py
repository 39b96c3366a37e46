"""The command line without an installation."""
