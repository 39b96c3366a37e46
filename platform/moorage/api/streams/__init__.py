"""Streams of pods over WebSockets: exec, attach, port-forward, logs. What speaks with clients lives here.

Requests pass the same steps as every other: authenticate, authorise, find the pod, check the options; what is refused is
answered with a Status before the protocol is switched.
"""
