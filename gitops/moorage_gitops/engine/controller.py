"""Keeps ``Application.status`` true: one reconcile per application, woken by every change of what it consists of."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.errors import Conflict, NotFound
from moorage.client.informer import Informer
from moorage.client.objects import ObjectKey
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import APPLICATIONS
from moorage_gitops.engine.assess import Assessment, assess
from moorage_gitops.engine.tracked import TrackedObjects
from moorage_gitops.names import FIELD_MANAGER

log = logging.getLogger(__name__)
DELAY = 0.05
"""Seconds in which changes are gathered before an application is looked at."""

Document = dict[str, Any]


class ApplicationController:
    """Assesses applications. ``pods`` may be an informer of whole pods or of lean ones; their status is all that is read."""

    def __init__(
        self, client: ApiClient, applications: Informer, pods: Informer, tracked: TrackedObjects, *, every: float
    ) -> None:
        self._client = client
        self._applications = applications
        self._pods = pods
        self._tracked = tracked
        self._runner: Runner[ObjectKey] = Runner(
            "applications", self.reconcile, workers=2, all_keys=self._all_keys, every=every
        )
        applications.add_handler(self._on_application)
        pods.add_index("namespace", _namespace)
        pods.add_handler(self._on_pod)
        tracked.on_change = self._wake

    async def run(self) -> None:
        """Work until cancelled."""
        await self._applications.wait_synced()
        await self._pods.wait_synced()
        await self._tracked.wait_synced()
        await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Bring the status of one application up to date."""
        application = self._applications.get(*key)
        if application is None or not (application.get("status") or {}).get("revision"):
            return DONE
        live = self._tracked.of(key)
        namespaces = {str(document["metadata"].get("namespace") or "") for document in live}
        pods = [pod for namespace in namespaces for pod in self._pods.by_index("namespace", namespace)]
        change = difference(application, assess(application, live, pods))
        if not change:
            return DONE
        metadata = {"resourceVersion": application["metadata"]["resourceVersion"]}
        try:
            await self._client.patch(
                APPLICATIONS,
                key.name,
                {"metadata": metadata, "status": change},
                key.namespace,
                subresource="status",
                field_manager=f"{FIELD_MANAGER}-engine",
            )
        except Conflict:
            return Temporary("the application has changed meanwhile")
        except NotFound:
            return DONE
        return DONE

    def _wake(self, key: ObjectKey) -> None:
        self._runner.queue.add_after(key, DELAY)

    def _on_application(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._wake(ObjectKey(document["metadata"]["namespace"], document["metadata"]["name"]))

    def _on_pod(self, old: Document | None, new: Document | None) -> None:
        """A pod says why a rollout is slow; only applications that are not healthy want to know."""
        document = new or old
        assert document is not None
        namespace = document["metadata"].get("namespace")
        for application in self._applications:
            metadata, status = application["metadata"], application.get("status") or {}
            if metadata["namespace"] == namespace and (status.get("health") or {}).get("status") != "Healthy":
                self._wake(ObjectKey(metadata["namespace"], metadata["name"]))

    def _all_keys(self) -> Iterable[ObjectKey]:
        return [ObjectKey(each["metadata"]["namespace"], each["metadata"]["name"]) for each in self._applications]


def difference(application: Document, found: Assessment) -> Document:
    """The merge patch of the status, empty where nothing changes."""
    status = application.get("status") or {}
    wanted: Document = {
        "sync": {"status": str(found.sync), "message": found.sync_message or None},
        "health": {"status": str(found.health.status), "message": found.health.message or None},
        "resources": found.resources,
    }
    # Who pushed stays to be read while nothing is wrong.
    if found.sync == "Synced" and (status.get("sync") or {}).get("status") == "Synced":
        del wanted["sync"]
    return {
        part: value
        for part, value in wanted.items()
        if (value != status.get(part) if part == "resources" else not _holds(status.get(part) or {}, value))
    }


def _holds(have: Document, want: Document) -> bool:
    return all(have.get(key) == value for key, value in want.items())


def _namespace(pod: Document) -> Iterable[Hashable]:
    return (str(pod["metadata"].get("namespace") or ""),)
