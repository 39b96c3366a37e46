"""Every living namespace has the ConfigMap ``kube-root-ca.crt``: what its pods verify the API server with.

The server writes it with each new namespace; this makes it again where somebody deletes or changes it, and gives it to namespaces
that are older than that. Source: ``pkg/controller/certificates/rootcacertpublisher``.
"""

from __future__ import annotations

import asyncio

from moorage.client.errors import AlreadyExists, Conflict, Forbidden, NotFound
from moorage.client.informer import Informer
from moorage.client.objects import Document, is_deleting, key_of
from moorage.client.reconcile import DONE, Outcome, Runner
from moorage.client.resource import CONFIG_MAPS, NAMESPACES
from moorage.controllers.context import Context

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal "
    "service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)
CA_PATH = "/cacerts"


class RootCaController:
    """Publishes the CA that the API server itself names, over a connection that was verified with it."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._namespaces = context.informers.get(NAMESPACES)
        self._maps = Informer(context.client, CONFIG_MAPS, fields={"metadata.name": NAME})
        self._runner: Runner[str] = Runner("root CA", self.reconcile, workers=2)
        self._namespaces.add_handler(self._namespace_changed)
        self._maps.add_handler(self._map_changed)
        self._ca = ""

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._maps.run(), name="root CA: ConfigMaps")
            await self._namespaces.wait_synced()
            await self._maps.wait_synced()
            await self._runner.run()

    async def reconcile(self, namespace: str) -> Outcome:
        """Look at one namespace."""
        document = self._namespaces.get("", namespace)
        if document is None or is_deleting(document):
            return DONE
        ca = await self._authority()
        held = self._maps.get(namespace, NAME)
        if held is not None and held.get("data") == {"ca.crt": ca}:
            return DONE
        metadata = {"namespace": namespace, "name": NAME, "annotations": {"kubernetes.io/description": DESCRIPTION}}
        wanted: Document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": ca}}
        try:
            if held is None:
                await self._client.create(CONFIG_MAPS, wanted)
            else:
                kept = {key: value for key, value in held.items() if key != "binaryData"}
                await self._client.update(CONFIG_MAPS, {**kept, "data": wanted["data"]})
        except (AlreadyExists, Conflict, NotFound):
            return DONE  # what somebody else did to it comes here as a change
        except Forbidden as error:
            if any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes):
                return DONE
            raise
        return DONE

    async def _authority(self) -> str:
        if not self._ca:
            self._ca = (await self._client.connection.request("GET", CA_PATH)).body.decode("ascii")
        return self._ca

    def _namespace_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None:
            self._runner.queue.add(key_of(new).name)

    def _map_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._runner.queue.add(key_of(document).namespace)
