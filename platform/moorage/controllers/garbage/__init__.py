"""Garbage collection by owner references, across all kinds that are served.

``graph`` remembers who depends on whom, ``decide`` says what follows for one object, ``collector`` follows the server and acts.
"""
