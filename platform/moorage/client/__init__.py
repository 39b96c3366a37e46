"""The async client of the API: requests, watches, informers, work queues, leader election, tunnel frames.

Lives here: what every client of the API shares. Stands on the ground: it imports nothing else of Moorage.

``api`` has the client, ``errors`` what its calls end in, ``resource`` the names of kinds, ``operations`` the members of batches.
"""

from moorage.client.api import ApiClient

__all__ = ["ApiClient"]
