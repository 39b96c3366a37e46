"""Stops all that runs in a tenant, and starts it again: scaled or suspended where a field does that, else put on the shelf."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moorage.client.api import ApiClient
from moorage.client.discovery import served
from moorage.client.errors import ApiError, NotFound
from moorage.client.objects import Document, key_of
from moorage.client.operations import Operation
from moorage.client.resource import PODS, Resource
from moorage.controllers.tenants.ending import FIELDS, starting, stopping
from moorage.controllers.tenants.shelf import POD_TEMPLATES, brought_back, shelved


class Standstill:
    """For one tenant at a time; every step may be repeated."""

    def __init__(self, client: ApiClient, manager: str) -> None:
        self._client = client
        self._manager = manager

    async def stop(self, namespaces: Sequence[str]) -> str:
        """Stop everything. What could not be stopped, "" for nothing."""
        problem = await self._scale(namespaces, stopping)
        return problem or await self._exchange(PODS, namespaces, shelved)

    async def start(self, namespaces: Sequence[str]) -> str:
        """Start what was stopped. What could not be started, "" for nothing."""
        problem = await self._scale(namespaces, starting)
        return problem or await self._exchange(POD_TEMPLATES, namespaces, brought_back)

    async def _scale(self, namespaces: Sequence[str], decide: Callable[[Resource, Document], Operation | None]) -> str:
        kinds = [each.resource for each in await served(self._client)]
        for resource in kinds:
            if (resource.group, resource.plural) not in FIELDS:
                continue
            for namespace in namespaces:
                found = await self._listed(resource, namespace)
                steps = [step for each in found if (step := decide(resource, each)) is not None]
                outcome = await self._client.batch(steps, field_manager=self._manager) if steps else None
                for result in outcome.results if outcome is not None else ():
                    if result.error is not None and not isinstance(result.error, NotFound):
                        return f"{result.kind} {result.namespace}/{result.name}: {result.error}"
        return ""

    async def _exchange(
        self, resource: Resource, namespaces: Sequence[str], decide: Callable[[Document], list[Operation]]
    ) -> str:
        problem = ""
        for namespace in namespaces:
            for document in await self._listed(resource, namespace):
                steps = decide(document)
                if not steps:
                    continue
                try:
                    await self._client.transact(steps, field_manager=self._manager)
                except NotFound:
                    continue
                except ApiError as error:
                    problem = problem or f"{resource.kind} {key_of(document)}: {error}"
        return problem

    async def _listed(self, resource: Resource, namespace: str) -> Sequence[Document]:
        try:
            return (await self._client.list(resource, namespace)).items
        except NotFound:
            return ()
