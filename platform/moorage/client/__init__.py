"""The async client of the API: requests, watches, informers, work queues, leader election, tunnel frames.

Lives here: what every client of the API shares. Stands on the ground: it imports nothing else of Moorage.
"""
