"""What every verb works with: the configuration, the machinery made from it, and the one way to ask for permission."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from moorage.api.apply import name_from_user_agent
from moorage.api.config import ApiConfig
from moorage.api.contracts import Attributes, Client, Decision, Identity, Standing, View
from moorage.api.deadlines import Deadlines
from moorage.api.errors import forbidden
from moorage.api.fairness import FlowControl
from moorage.api.metrics import Metrics
from moorage.api.request import Request
from moorage.api.standing import Standings
from moorage.api.verbs.pacing import Pace
from moorage.api.writing.contracts import Writer
from moorage.api.writing.executor import Executor
from moorage.api.writing.planner import Planner
from moorage.resources.kind import Document, Kind, ResourceKey
from moorage.store.contracts import Origin


class Service:
    """One API server's parts. ``stopping`` is set when streams must end."""

    def __init__(self, config: ApiConfig) -> None:
        self.config = config
        self.registry = config.registry
        self.store = config.store
        self.planner = Planner(config.registry, config.admissions, config.charger, config.companions)
        self.deleter = self.planner.deleter
        self.executor = Executor(config.store)
        self.metrics = Metrics()
        self.deadlines = Deadlines(config.request_seconds)
        self.flow = FlowControl(config.flow_owners)
        self.streams: set[Callable[[], None]] = set()
        """What ends each open stream (watches, logs)."""
        self.paces: defaultdict[ResourceKey, Pace] = defaultdict(Pace)
        """How often watchers are served, by what they watch."""
        self.standings = Standings()
        self.stopping = asyncio.Event()

    def stop_streams(self) -> None:
        """End every open stream cleanly, and those that are yet to come. Idempotent; call it from the event loop."""
        self.stopping.set()
        for end in tuple(self.streams):
            end()

    async def run_stream(
        self, work: Coroutine[Any, Any, None], standing: Standing | None, name: str
    ) -> asyncio.Task[None]:
        """Run what lasts until it ends, the server stops, or the right to it goes. Returns its task, done; cancelled where it
        was ended.
        """
        working = asyncio.create_task(work, name=name)

        def end() -> None:
            working.cancel()

        self.streams.add(end)
        try:
            if self.stopping.is_set():
                working.cancel()
            with self.standings.held(standing, end):
                await asyncio.wait((working,))
        finally:
            self.streams.discard(end)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        return working

    async def authorise(
        self,
        identity: Identity,
        verb: str,
        group: str,
        resource: str,
        *,
        subresource: str = "",
        namespace: str = "",
        name: str = "",
        fields: Mapping[str, str] | None = None,
        document: Document | None = None,
        view: View | None = None,
    ) -> None:
        """Raises ApiError 403 unless ``identity`` may do this."""
        attributes = Attributes(
            identity, verb, group, resource, subresource, namespace, name, "", fields or {}, document, view
        )
        decision = await self.config.authorizer.authorise(attributes)
        if not decision.allowed:
            raise denied(attributes, decision)

    def writer(self, request: Request, manager: str, dry_run: bool, strictness: Any = "Warn") -> Writer:
        """Who writes for ``request``. Where no manager is named it is the client program's name, as in Kubernetes."""

        async def permit(
            verb: str, kind: Kind, namespace: str, name: str, document: Document | None, view: View
        ) -> None:
            await self.authorise(
                request.identity,
                verb,
                kind.group,
                kind.plural,
                namespace=namespace,
                name=name,
                document=document,
                view=view,
            )

        return Writer(
            identity=request.identity,
            permit=permit,
            manager=manager or name_from_user_agent(request.header(b"user-agent")),
            dry_run=dry_run,
            strictness=strictness,
            warnings=request.warnings,
        )

    @staticmethod
    def origin(request: Request, manager: str) -> Origin:
        """Who writes, for the change log."""
        return origin_of(request.identity, request.client, request.id, manager, verb=request.verb)


def origin_of(
    identity: Identity, client: Client, request_id: str, manager: str, *, verb: str = "", source_commit: str = ""
) -> Origin:
    """Who writes, from where, for the change log and the audit."""
    return Origin(
        identity.name,
        request_id,
        manager,
        source_commit,
        verb,
        sorted(identity.groups),
        identity.impersonator,
        client.source_ip,
        client.user_agent,
    )


def denied(attributes: Attributes, decision: Decision) -> Exception:
    """The 403 of a refusal."""
    if attributes.path:
        return forbidden("", attributes.path, "", decision.reason or "access denied")
    return forbidden(attributes.group, attributes.resource, attributes.name, decision.reason or "access denied")
