"""Keeps tenants: furniture and labels of their namespaces, status, the way out and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from moorage.client import operations
from moorage.client.errors import NotFound
from moorage.client.informer import Informer
from moorage.client.objects import Document, is_deleting, uid_of
from moorage.client.operations import JSON_PATCH, Operation
from moorage.client.reconcile import DONE, After, Outcome, Runner, Temporary
from moorage.client.resource import NAMESPACES, Resource
from moorage.controllers.context import Context
from moorage.controllers.statuses import status_patch
from moorage.controllers.tenants.standstill import Standstill
from moorage.controllers.tenants.status import is_stopped, tenant_status, wants_stop
from moorage.controllers.tenants.upkeep import KEPT, is_managed, keeping, marks
from moorage.resources.tenancy import FINALIZER, GROUP, TENANT_LABEL, delete_at, tenant_of

TENANTS = Resource(GROUP, "v1", "tenants", "Tenant", namespaced=False)
MANAGER = "moorage-tenants"
BATCH = 500
LOOK = 2.0
"""Seconds between two looks at namespaces that are going."""
LONGEST = 3600.0
"""Seconds after which a wait looks at the clock again (it may have been set)."""
_BY_TENANT = "tenant"
_BY_NAMESPACE = "namespace"


def tenant_label(namespace: Document) -> str:
    """The tenant of a namespace, "" for none."""
    return tenant_of(namespace["metadata"].get("labels") or {})


class TenantController:
    """One key is one tenant's name. What a namespace held of a tenant goes in the commit that takes it out of it."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._pod_networks = (context.options.cluster_cidr,)
        self._standstill = Standstill(context.client, MANAGER)
        self._tenants = context.informers.get(TENANTS)
        self._namespaces = context.informers.get(NAMESPACES)
        self._kept: list[Informer] = [context.informers.get(resource) for resource in KEPT.values()]
        self._runner: Runner[str] = Runner("tenant", self.reconcile, workers=context.options.workers)
        self._namespaces.add_index(_BY_TENANT, lambda namespace: (tenant_label(namespace),))
        for informer in self._kept:
            informer.add_index(_BY_NAMESPACE, lambda document: (document["metadata"]["namespace"],))
            informer.add_handler(self._kept_changed)
        self._tenants.add_handler(self._tenant_changed)
        self._namespaces.add_handler(self._namespace_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._tenants, self._namespaces, *self._kept):
            await informer.wait_synced()
        await self._runner.run()

    async def reconcile(self, name: str) -> Outcome:
        """Look at one tenant."""
        tenant = self._tenants.get("", name)
        if tenant is None:
            return DONE
        if is_deleting(tenant):
            return await self._end(tenant)
        due = delete_at(tenant)
        if due is not None and due <= self._clock():
            await self._client.delete(TENANTS, name, uid=uid_of(tenant))
            return After(0.0)
        problem = await self._keep(tenant)
        stopped, failure = await self._workloads(tenant)
        problem = problem or failure
        await self._tell(tenant, problem, stopped)
        if problem:
            return Temporary(problem)
        return DONE if due is None else After(min(LONGEST, max(0.0, due - self._clock()) + 0.1))

    async def _keep(self, tenant: Document) -> str:
        """Put the tenant's namespaces in order. What keeps one from being so, "" for nothing."""
        made: list[Operation] = []
        for namespace in self._of(tenant):
            change = marks(tenant, namespace)
            made += [] if change is None else [change]
            made += keeping(tenant, namespace, self._held(namespace["metadata"]["name"]), self._pod_networks)
        return await self._write(made)

    async def _workloads(self, tenant: Document) -> tuple[bool | None, str]:
        """Stop or start what runs, where that is asked for. (Whether it is stopped now, None while neither; what went wrong.)

        That it has begun is written down first: what was stopped in part starts again as well.
        """
        wanted = wants_stop(tenant)
        if is_stopped(tenant) is wanted:
            return wanted, ""
        if is_stopped(tenant) is not None:
            await self._tell(tenant, "", None)
        names = [each["metadata"]["name"] for each in self._of(tenant)]
        problem = await (self._standstill.stop(names) if wanted else self._standstill.start(names))
        return (None if problem else wanted), problem

    async def _tell(self, tenant: Document, problem: str, stopped: bool | None) -> None:
        names = [each["metadata"]["name"] for each in self._of(tenant)]
        status = tenant_status(tenant, names, problem=problem, stopped=stopped, now=self._clock())
        change = status_patch(TENANTS, tenant, status)
        if change is not None:
            await self._write([change])

    async def _end(self, tenant: Document) -> Outcome:
        """Delete the namespaces of a tenant that is going, and let it go after the last of them."""
        name: str = tenant["metadata"]["name"]
        if FINALIZER not in (tenant["metadata"].get("finalizers") or ()):
            return DONE
        await self._tell(tenant, "", is_stopped(tenant))
        left = (await self._client.list(NAMESPACES, labels={TENANT_LABEL: name}, metadata_only=True)).items
        if left:
            going = [
                operations.delete(NAMESPACES, "", each["metadata"]["name"], uid=uid_of(each))
                for each in left
                if not is_deleting(each)
            ]
            await self._write(going)
            return After(LOOK)
        live = await self._client.get(TENANTS, name)
        finalizers = [each for each in live["metadata"].get("finalizers") or () if each != FINALIZER]
        change = [
            {"op": "test", "path": "/metadata/uid", "value": uid_of(tenant)},
            {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/metadata/finalizers", "value": finalizers},
        ]
        problem = await self._write([operations.patch(TENANTS, "", name, change, patch_type=JSON_PATCH)])
        return Temporary(problem) if problem else DONE

    async def _write(self, made: Sequence[Operation]) -> str:
        """Send writes, each alone; why the first of them failed, "" where all is done. What is gone meanwhile is no failure."""
        problem = ""
        for start in range(0, len(made), BATCH):
            outcome = await self._client.batch(made[start : start + BATCH], field_manager=MANAGER)
            for result in outcome.results:
                if result.error is not None and not isinstance(result.error, NotFound):
                    problem = problem or f"{result.kind} {result.namespace}/{result.name}: {result.error}"
        return problem

    def _of(self, tenant: Document) -> list[Document]:
        return self._namespaces.by_index(_BY_TENANT, tenant["metadata"]["name"])

    def _held(self, namespace: str) -> Iterable[Document]:
        for informer in self._kept:
            yield from informer.by_index(_BY_NAMESPACE, namespace)

    def _tenant_changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None:
            self._runner.queue.add(new["metadata"]["name"])

    def _namespace_changed(self, old: Document | None, new: Document | None) -> None:
        for name in {tenant_label(each) for each in (old, new) if each is not None} - {""}:
            self._runner.queue.add(name)

    def _kept_changed(self, old: Document | None, new: Document | None) -> None:
        if not any(each is not None and is_managed(each) for each in (old, new)):
            return
        document = new or old
        assert document is not None
        namespace = self._namespaces.get("", document["metadata"]["namespace"])
        if namespace is not None and (name := tenant_label(namespace)):
            self._runner.queue.add(name)
