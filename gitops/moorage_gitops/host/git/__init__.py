"""Git itself: always a subprocess without a shell, with an environment and a configuration of our own.

Nothing of the user's, the system's or a pushed tree's configuration is read, no remote is ever contacted, and no file of a
repository is checked out.
"""
