"""Every living namespace has a ServiceAccount named ``default``: pods run under it unless they say otherwise."""

from __future__ import annotations

from moorage.client.errors import AlreadyExists, Forbidden
from moorage.client.objects import Document, ObjectKey, is_deleting, key_of
from moorage.client.reconcile import DONE, Outcome, Runner
from moorage.client.resource import NAMESPACES, SERVICE_ACCOUNTS
from moorage.controllers.context import Context

NAME = "default"


class ServiceAccountController:
    """Makes the default ServiceAccount, and makes it again where somebody deletes it."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._namespaces = context.informers.get(NAMESPACES)
        self._accounts = context.informers.get(SERVICE_ACCOUNTS)
        self._runner: Runner[str] = Runner("serviceaccount", self.reconcile, workers=2)
        self._namespaces.add_handler(self._namespace_changed)
        self._accounts.add_handler(self._account_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._namespaces.wait_synced()
        await self._accounts.wait_synced()
        await self._runner.run()

    async def reconcile(self, namespace: str) -> Outcome:
        """Look at one namespace."""
        document = self._namespaces.get("", namespace)
        if document is None or is_deleting(document) or self._accounts.get(namespace, NAME) is not None:
            return DONE
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": NAME},
        }
        try:
            await self._client.create(SERVICE_ACCOUNTS, account)
        except AlreadyExists:
            return DONE
        except Forbidden as error:
            if any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes):
                return DONE
            raise
        return DONE

    def _namespace_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None:
            self._runner.queue.add(key_of(new).name)

    def _account_changed(self, old: Document | None, new: Document | None) -> None:
        if new is None and old is not None:
            key: ObjectKey = key_of(old)
            if key.name == NAME:
                self._runner.queue.add(key.namespace)
