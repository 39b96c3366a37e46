"""From what is asked to what is to be written: one object, against a view of the others. No lock is held, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from moorage.api import apply as managers
from moorage.api import conversion
from moorage.api.contracts import Admission, AdmissionRequest, Charger, Companions
from moorage.api.errors import already_exists, conflict, invalid, not_found
from moorage.api.writing import namespaces, strategy
from moorage.api.writing.admission import Chain, refused
from moorage.api.writing.contracts import Action, Planned, View, Writer, key_of
from moorage.api.writing.deletion import Deleter
from moorage.api.writing.together import Together
from moorage.resources.kind import Document, FieldError, Kind
from moorage.resources.registry import Registry
from moorage.store.contracts import Entry, Op, Write

Source = Callable[[], Document]
"""Gives the decoded body, a fresh one each time."""
Change = Callable[[Document], Document]
"""Makes the wanted object of the stored one, which it may change."""


class Planner:
    """Plans creates and updates; ``deleter`` plans deletions."""

    def __init__(
        self,
        registry: Registry,
        admissions: Sequence[Admission],
        charger: Charger,
        companions: Sequence[Companions] = (),
    ) -> None:
        self.registry = registry
        self.deleter = Deleter(self)
        self._together = Together(self, self.deleter, companions) if companions else None
        self.chain = Chain(admissions)
        self.charger = charger
        self._namespaces = namespaces.namespace_kind(registry)

    async def create(
        self, view: View, writer: Writer, kind: Kind, namespace: str, source: Source, *, applies: bool = False
    ) -> Planned:
        """A new object. Raises ApiError 400, 403, 404, 409, 422."""
        document = source()
        strategy.place(kind, document, namespace)
        given = document["metadata"].get("name", "")
        if kind.namespaced:
            await namespaces.require_active(view, self._namespaces, kind, namespace, given)
        if given and await view.get(kind, namespace, given) is not None:
            raise already_exists(kind.group, kind.plural, given)
        return await self._create(view, writer, kind, namespace, document, applies)

    async def create_or_update(
        self, view: View, writer: Writer, kind: Kind, namespace: str, name: str, source: Source
    ) -> Planned:
        """PUT: replaces the object, or makes it where the kind allows that."""
        if kind.allow_create_on_update and await view.get(kind, namespace, name) is None:
            await writer.permit("create", kind, namespace, name, None, view)

            def named() -> Document:
                document = source()
                strategy.metadata_of(document).setdefault("name", name)
                return document

            return await self.create(view, writer, kind, namespace, named)
        return await self.update(view, writer, kind, namespace, name, lambda _old: source())

    async def update(
        self,
        view: View,
        writer: Writer,
        kind: Kind,
        namespace: str,
        name: str,
        change: Change,
        subresource: str = "",
        *,
        applies: bool = False,
    ) -> Planned:
        """A changed object. ``applies``: ``change`` keeps managedFields itself. Raises ApiError 400, 403, 404, 409, 422."""
        current = await view.get(kind, namespace, name)
        if current is None:
            raise not_found(kind.group, kind.plural, name)
        new = change(conversion.served_document(kind, current))
        strategy.place(kind, new, namespace)
        strategy.metadata_of(new).setdefault("name", name)
        strategy.check_resource_version(kind, new, name, current.revision)
        return await self._update(view, writer, kind, name, new, current, subresource, applies)

    async def apply(
        self,
        view: View,
        writer: Writer,
        kind: Kind,
        namespace: str,
        name: str,
        source: Source,
        *,
        force: bool,
        subresource: str = "",
    ) -> Planned:
        """Server-side apply; creates what is missing. Raises ApiError 409 where other managers own a field."""

        def change(old: Document) -> Document:
            config = source()
            version = strategy.metadata_of(config).get("resourceVersion")
            if version and version != old["metadata"]["resourceVersion"]:
                raise conflict(kind.group, kind.plural, name)
            return self._applied(writer, kind, old, config, force, subresource)

        if await view.get(kind, namespace, name) is not None:
            return await self.update(view, writer, kind, namespace, name, change, subresource, applies=True)
        if subresource:
            raise not_found(kind.group, kind.plural, name)
        await writer.permit("create", kind, namespace, name, None, view)

        def fresh() -> Document:
            config = source()
            metadata = strategy.metadata_of(config)
            if metadata.get("resourceVersion") or metadata.get("uid"):
                raise conflict(kind.group, kind.plural, name, "the object has been deleted")
            if metadata.setdefault("name", name) != name:
                raise strategy.name_mismatch(metadata["name"], name)
            return self._applied(writer, kind, None, config, force, "")

        return await self.create(view, writer, kind, namespace, fresh, applies=True)

    def _applied(
        self, writer: Writer, kind: Kind, live: Document | None, config: Document, force: bool, subresource: str
    ) -> Document:
        return managers.apply(
            kind, live, config, writer.manager, force=force, now=strategy.now(), subresource=subresource
        )

    async def _create(
        self, view: View, writer: Writer, kind: Kind, namespace: str, document: Document, applies: bool
    ) -> Planned:
        kind.default(document)
        strategy.drop_status(kind, document)
        if not applies:
            # Before admission and strategy, as in Kubernetes: who creates an object owns what it asked for and its
            # defaults, not what the system adds. Else an apply that takes over would have to take that away.
            managers.record(kind, document, None, writer.manager, "", strategy.now())
        given = document["metadata"].get("name", "")
        request = _request("CREATE", view, writer, kind, "", namespace, given, document, None)
        await self.chain.mutate(request)
        uid = strategy.before_create(kind, document)
        if namespaces.is_namespace(kind):
            namespaces.prepare(document)
        name: str = document["metadata"]["name"]
        await self._check(kind, name, kind.validate(document), request, document)
        encoded = conversion.stored(kind, document)
        write = Write(
            Op.CREATE,
            key_of(kind, namespace, name),
            uid,
            encoded,
            storage_version=conversion.storage_version(kind),
            sealed=kind.sealed or kind.encrypted,
            tenant=self.charger.tenant(kind, document),
            charge=self.charger.charge(kind, document),
            expires_in=kind.ttl,
            limits=self.charger.limits(kind, document, None),
            annotations=request.annotations,
        )
        return await self.joined(Planned(kind, "created", write.key, uid, write, encoded, None), request, document)

    async def _update(
        self,
        view: View,
        writer: Writer,
        kind: Kind,
        name: str,
        new: Document,
        current: Entry,
        subresource: str,
        applies: bool,
    ) -> Planned:
        old = conversion.served_document(kind, current)
        kind.default(new)
        request = _request("UPDATE", view, writer, kind, subresource, current.key.namespace, name, new, old)
        await self.chain.mutate(request)
        new = self._prepared(kind, new, old, name, subresource)
        if applies:
            managers.keep_times(new, old)
        else:
            managers.record(kind, new, old, writer.manager, subresource, strategy.now())
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if new == old:
            return Planned(kind, "unchanged", current.key, current.uid, None, None, current)
        part = kind.subresources.get(subresource)
        if subresource == "status":
            errors = kind.validate_status_update(new, old)
        elif part is not None and part.validate is not None:
            errors = [*kind.validate(new), *part.validate(new, old)]
        else:
            errors = [*kind.validate(new), *kind.validate_update(new, old)] if subresource != "binding" else []
        await self._check(kind, name, errors, request, new)
        planned = self.replaced(
            kind, new, current, old, ends=_ends(kind, new), subresource=subresource, annotations=request.annotations
        )
        return await self.joined(planned, request, new)

    async def joined(self, planned: Planned, request: AdmissionRequest, document: Document | None) -> Planned:
        """``planned`` with what is written together with it. Raises ApiError where that cannot be."""
        if self._together is None:
            return planned
        return await self._together.joined(planned, _with(request, document))

    def _prepared(self, kind: Kind, new: Document, old: Document, name: str, subresource: str) -> Document:
        if subresource == "status":
            return strategy.before_status_update(kind, new, old, name)
        if subresource == "binding":
            return new
        if subresource == "finalize":
            strategy.same_object(kind, new, old, name)
            return {**old, "spec": new.get("spec") or {}}
        part = kind.subresources.get(subresource)
        if part is not None and part.prepare_status is not None:
            return strategy.before_status_update(kind, new, old, name, part.prepare_status)
        if part is not None and part.prepare is not None:
            new = part.prepare(new, old)
        strategy.before_update(kind, new, old, name)
        if namespaces.is_namespace(kind):
            # Only /finalize takes the namespace's own finalizers away.
            new["spec"] = {**(new.get("spec") or {}), "finalizers": (old.get("spec") or {}).get("finalizers", [])}
        return new

    def replaced(
        self,
        kind: Kind,
        new: Document,
        current: Entry,
        old: Document,
        *,
        ends: bool,
        action: Action = "configured",
        subresource: str = "",
        annotations: Mapping[str, str] | None = None,
    ) -> Planned:
        """A plan that stores ``new`` in place of ``current``, or removes it with ``new`` as its last state. ``old`` is the
        document of ``current``.
        """
        encoded = conversion.stored(kind, new)
        write = Write(
            Op.DELETE if ends else Op.UPDATE,
            current.key,
            current.uid,
            encoded,
            storage_version=conversion.storage_version(kind),
            expect_revision=current.revision,
            expect_uid=current.uid,
            sealed=kind.sealed or kind.encrypted,
            tenant=None if ends else self.charger.tenant(kind, new),
            charge={} if ends else self.charger.charge(kind, new),
            expires_in=kind.ttl,
            limits=None if ends else self.charger.limits(kind, new, old),
            subresource=subresource,
            annotations=annotations or {},
        )
        return Planned(kind, action, current.key, current.uid, write, encoded, current, gone=ends)

    async def _check(
        self,
        kind: Kind,
        name: str,
        errors: Sequence[FieldError],
        request: AdmissionRequest,
        document: Document,
    ) -> None:
        if errors:
            raise invalid(kind.group, kind.kind, name, errors)
        refusals = await self.chain.validate(_with(request, document)) if self.chain else ()
        if refusals:
            raise refused(kind, name, refusals)


def _request(
    operation: str,
    view: View,
    writer: Writer,
    kind: Kind,
    subresource: str,
    namespace: str,
    name: str,
    document: Document,
    old: Document | None,
) -> AdmissionRequest:
    return AdmissionRequest(
        writer.identity,
        operation,
        kind,
        subresource,
        namespace,
        name,
        document,
        old,
        writer.dry_run,
        view,
        writer.warnings,
    )


def _with(request: AdmissionRequest, document: Document | None) -> AdmissionRequest:
    """``request`` for ``document``; itself where it is for that one already, as it is for each create."""
    return request if request.document is document else replace(request, document=document)


def _ends(kind: Kind, new: dict[str, Any]) -> bool:
    """Whether this update took away the last thing that kept a deleted object (registry.ShouldDeleteDuringUpdate)."""
    metadata = new["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if metadata.get("deletionGracePeriodSeconds", 0) != 0:
        return False
    return not (namespaces.is_namespace(kind) and namespaces.held(new))
