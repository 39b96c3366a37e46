"""Follows the metadata of Secrets and ConfigMaps, never their values, and writes workloads that watch them: an empty patch.

The server puts the hash of the values into the pod template. Where it is what stands there, the write changes nothing; so this
may be done too often and never wrongly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from moorage.client import operations
from moorage.client.errors import Conflict, NotFound
from moorage.client.events import EventRecorder
from moorage.client.informer import Handler, Informer
from moorage.client.objects import Document, is_deleting, uid_of
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import CONFIG_MAPS, DEPLOYMENTS, SECRETS, Resource
from moorage.controllers.context import Context
from moorage.resources.rollout import references, watched

MANAGER = "moorage-rollouts"
WORKLOADS = (DEPLOYMENTS,)
"""The kinds with a pod template that are served."""
SETTLE = 1.0
"""Seconds for which changes are gathered into one rollout."""
LOOK = 600.0
"""Seconds between two looks at all workloads that watch anything."""
_BY_REFERENCE = "rollout references"


class Target(NamedTuple):
    """A workload."""

    resource: Resource
    namespace: str
    name: str


def named(workload: Document) -> frozenset[tuple[str, str, str]]:
    """(resource, namespace, name) of everything that a workload watches."""
    namespace = workload["metadata"]["namespace"]
    return frozenset((each.resource, namespace, each.name) for each in references(workload))


class RolloutController:
    """One key is one workload."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._events = EventRecorder(context.client, "rollout-controller", clock=context.clock)
        self._workloads: dict[Resource, Informer] = {each: context.informers.get(each) for each in WORKLOADS}
        self._watched = [context.informers.get(each, metadata_only=True) for each in (SECRETS, CONFIG_MAPS)]
        self._runner: Runner[Target] = Runner("rollout", self.reconcile, workers=2, all_keys=self._targets, every=LOOK)
        for resource, informer in self._workloads.items():
            informer.add_index(_BY_REFERENCE, named)
            informer.add_handler(self._workload_handler(resource))
        for informer in self._watched:
            informer.add_handler(self._watched_handler(informer.resource.plural))

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (*self._workloads.values(), *self._watched):
            await informer.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run(), name="rollout events")
            await self._runner.run()

    async def reconcile(self, target: Target) -> Outcome:
        """Have one workload written."""
        workload = self._workloads[target.resource].get(target.namespace, target.name)
        if workload is None or is_deleting(workload) or not references(workload):
            return DONE
        touch = operations.patch(
            target.resource, target.namespace, target.name, {"metadata": {"uid": uid_of(workload)}}
        )
        (result,) = (await self._client.batch([touch], field_manager=MANAGER)).results
        if isinstance(result.error, NotFound | Conflict):
            return DONE  # another one of this name: it comes here by itself
        if result.error is not None:
            return Temporary(str(result.error))
        if result.action == "configured":
            kinds = " or ".join(
                {"secrets": "Secret", "configmaps": "ConfigMap"}[each] for each in sorted(watched(workload))
            )
            self._events.record(workload, "Normal", "RolloutOnChange", f"A {kinds} that the pods use has changed")
        return DONE

    def _targets(self) -> Iterable[Target]:
        for resource, informer in self._workloads.items():
            for workload in informer:
                if references(workload):
                    yield _target(resource, workload)

    def _workload_handler(self, resource: Resource) -> Handler:
        def changed(old: Document | None, new: Document | None) -> None:
            """Another template, or another wish: what was hashed with it may have been older than what is here."""
            if new is None or not references(new):
                return
            if old is None or references(old) != references(new) or _template(old) != _template(new):
                self._runner.queue.add_after(_target(resource, new), SETTLE)

        return changed

    def _watched_handler(self, plural: str) -> Handler:
        def changed(old: Document | None, new: Document | None) -> None:
            document = new or old
            assert document is not None
            metadata = document["metadata"]
            for resource, informer in self._workloads.items():
                for workload in informer.by_index(_BY_REFERENCE, (plural, metadata["namespace"], metadata["name"])):
                    self._runner.queue.add_after(_target(resource, workload), SETTLE)

        return changed


def _target(resource: Resource, workload: Document) -> Target:
    return Target(resource, workload["metadata"]["namespace"], workload["metadata"]["name"])


def _template(workload: Document) -> object:
    return workload["spec"]["template"]
