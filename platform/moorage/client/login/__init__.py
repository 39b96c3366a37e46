"""Logging in as a person: at the identity provider that the server names, once; refreshed silently from then on.

``trust`` finds out whether it is the right server, ``methods`` asks it where to log in, ``provider`` speaks OpenID Connect,
``browser`` and ``device`` are the two ways to be asked, ``logins`` keeps tokens in private files and refreshes them,
``kubeconfig`` and ``git`` make kubectl and Git use them. Synchronous, and on the standard library as far as it goes: ``moorage
token`` runs before every kubectl.
"""
