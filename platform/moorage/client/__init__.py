"""The async client of the API: requests, watches, informers, work queues, leader election, tunnel frames.

Lives here: what every client of the API shares. Stands on the ground: it imports nothing else of Moorage.

``api`` has the client, ``errors`` what its calls end in, ``resource`` the names of kinds, ``operations`` the members of batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moorage.client.api import ApiClient

__all__ = ["ApiClient"]


def __getattr__(name: str) -> Any:
    # The command line needs this package's kubeconfigs and must not wait for an HTTP client to print its help.
    if name == "ApiClient":
        from moorage.client.api import ApiClient

        return ApiClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
