"""An API that keeps Leases and Events in memory, for code that runs in virtual time."""

from __future__ import annotations

import copy
from typing import Any

from moorage.client.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound, Unreachable
from moorage.client.operations import Outcome, Result


class LeaseServer:
    """One Lease. ``down`` makes every call fail."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = False
        self.writes = 0

    async def get(self, _resource: object, _name: str, _namespace: str) -> dict[str, Any]:
        self._check()
        if self.lease is None:
            raise NotFound(404, {"message": "no lease"})
        return copy.deepcopy(self.lease)

    async def create(self, _resource: object, document: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if self.lease is not None:
            raise AlreadyExists(409, {"message": "there is one", "reason": "AlreadyExists"})
        return self._store(document)

    async def update(self, _resource: object, document: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if self.lease is None or document["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict(409, {"message": "changed meanwhile"})
        return self._store(document)

    def _store(self, document: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.writes += 1
        self.lease = copy.deepcopy(document)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    def _check(self) -> None:
        if self.down:
            raise Unreachable("the server is down", sent=False)


class BatchServer:
    """Takes batches; ``refuse`` names operations (by verb) and their errors."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.refuse: dict[str, ApiError] = {}
        self.down = False
        self.forbidden = False

    async def batch(self, operations: list[dict[str, Any]]) -> Outcome:
        if self.down:
            raise Unreachable("the server is down", sent=True)
        if self.forbidden:
            raise Forbidden(403, {"message": "batches.moorage.io is forbidden"})
        self.batches.append(copy.deepcopy(list(operations)))
        results = [
            Result("created", "v1", "Event", "", "", "", "1", self.refuse.get(operation["verb"]))
            for operation in operations
        ]
        return Outcome("1", results)
