"""The ``proxy`` subresources of pods and services: HTTP to a port of a pod, through its node's tunnel.

What belongs here: which pod a request means, what of its headers goes along, the exchange itself. Nothing here dials an address.
"""
