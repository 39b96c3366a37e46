"""``build_git_app``: the ASGI application that the composition root mounts at ``/git``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from moorage.resources.gitops import APPLICATION, REPOSITORY
from moorage.resources.kind import Document, Kind
from moorage.store.contracts import OutcomeUnknown, Unavailable
from moorage_gitops.host import setup
from moorage_gitops.host.config import GitHostConfig
from moorage_gitops.host.git import refs
from moorage_gitops.host.host import Host
from moorage_gitops.host.http import fetch, head, receive
from moorage_gitops.host.http.access import ENDPOINTS, Access, Caller, Hosted, Target, target
from moorage_gitops.host.http.exchange import Disconnected, Exchange, Refusal
from moorage_gitops.host.push.deployment import Deployment
from moorage_gitops.host.push.session import PushSession
from moorage_gitops.host.turns import Turn
from moorage_gitops.host.upkeep import Upkeep

logger = logging.getLogger(__name__)


def build_git_app(config: GitHostConfig) -> GitApp:
    """The application. It authenticates and authorises by itself, and starts nothing before the first request."""
    return GitApp(Host(config))


class GitApp:
    """Serves ``/git/NAMESPACE/NAME.git``."""

    endpoints = ENDPOINTS
    """(method, path below the mount) of everything that is served."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._access = Access(host.config)
        self._upkeep = Upkeep(host)

    async def __call__(self, scope: Scope, receive_: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive_, send)
        try:
            async with asyncio.timeout(self.host.config.limits.seconds):
                await self._serve(exchange)
        except Refusal as refusal:
            await _refuse(exchange, refusal)
        except (Unavailable, OutcomeUnknown):
            await _refuse(
                exchange, Refusal(503, "the database cannot be reached; try again soon", ((b"retry-after", b"2"),))
            )
        except TimeoutError:
            seconds = self.host.config.limits.seconds
            await _refuse(exchange, Refusal(408, f"the request took longer than {seconds:.0f} s"))
        except Disconnected:
            logger.info("a Git client went away")
        await self._upkeep.after_request()

    async def _serve(self, exchange: Exchange) -> None:
        wanted = target(exchange)
        caller = await self._access.caller(exchange, wanted)
        await self._access.check(caller, wanted)
        hosted = await self._access.find(wanted)
        if hosted is None:
            await self._missing(exchange, caller, wanted)
        elif wanted.advertise:
            async with self.host.uploads.turn(caller, wanted):
                await self._advertise(exchange, wanted, hosted)
        elif wanted.pushing:
            await self._receive(exchange, caller, wanted, hosted)
        else:
            async with self.host.uploads.turn(caller, wanted):
                await self._upload(exchange, hosted)

    async def _advertise(self, exchange: Exchange, wanted: Target, hosted: Hosted) -> None:
        repository = await self.host.repositories.open(hosted.uid, hosted.branch)
        async with self.host.lock(hosted.uid):
            await refs.repair(self.host.git, repository, await self.host.config.store.refs(hosted.uid))
        await fetch.advertise(self.host.git, repository, wanted.service, exchange)

    async def _missing(self, exchange: Exchange, caller: Caller, wanted: Target) -> None:
        if not wanted.pushing:
            raise Refusal(
                404,
                f'repository "{wanted.name}" does not exist in namespace "{wanted.namespace}". The first push creates it:\n'
                "  git push URL main",
            )
        await self._access.check_create(caller, wanted)
        if wanted.advertise:
            # Nothing is created before something is really pushed.
            await fetch.advertise(self.host.git, await self.host.repositories.empty(), wanted.service, exchange)
        else:
            await self._receive(exchange, caller, wanted, None)

    async def _upload(self, exchange: Exchange, hosted: Hosted) -> None:
        repository = await self.host.repositories.open(hosted.uid, hosted.branch)
        await fetch.serve(self.host.git, repository, self.host.config.limits, exchange)

    async def _receive(self, exchange: Exchange, caller: Caller, wanted: Target, hosted: Hosted | None) -> None:
        limits = self.host.config.limits
        async with self.host.receives.turn(caller, wanted) as turn:
            body = fetch.bounded(exchange.body(), limits.pack_bytes + head.MAX_HEAD)
            try:
                first = await head.read_head(body, limits)
                if first.probe:
                    await exchange.answer(receive.RESULT, b"")
                    return
                made: list[tuple[Kind, Document]] = []
                if hosted is None:
                    document = await setup.create(self.host, caller, wanted, setup.first_branch(first.refs))
                    made.append((REPOSITORY, document))
                    hosted = Hosted.of(document)
                await self._push(exchange, caller, hosted, first, body, made, turn)
            except head.BadPush as refusal:
                self._access.refused_push(caller, wanted, "")
                # The client reads the answer once it has sent everything.
                await fetch.drain(body)
                await receive.refuse(exchange, refusal)

    async def _push(
        self,
        exchange: Exchange,
        caller: Caller,
        hosted: Hosted,
        first: head.PushHead,
        body: AsyncIterator[bytes],
        made: list[tuple[Kind, Document]],
        turn: Turn,
    ) -> None:
        session: PushSession | None = None
        told = False

        async def settled() -> None:
            nonlocal told
            if session is not None and not session.accepted and not told:
                told = True
                self._access.refused_push(caller, hosted, session.commit)
            if made and not (session and session.accepted):
                await setup.take_back(self.host, caller, made)
                made.clear()

        try:
            applications, created = await setup.applications(self.host, caller, hosted)
            if created is not None:
                made.append((APPLICATION, created))
            repository = await self.host.repositories.open(hosted.uid, hosted.branch)
            url = _url(self.host.config.base_url, exchange, hosted)
            deployment = Deployment(self.host, hosted, repository, applications, caller, url)
            session = PushSession(deployment, self.host.lock(hosted.uid), first.options, turn.rest)
            await receive.serve(self.host.git, repository, exchange, first, body, session, settled)
        finally:
            await settled()
        await self._upkeep.after_push(hosted.uid, repository)


def _url(base: str, exchange: Exchange, hosted: Hosted) -> str:
    base = base or f"{exchange.scope.get('scheme', 'https')}://{exchange.header(b'host')}/git"
    return f"{base}/{hosted.namespace}/{hosted.name}.git"


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    if exchange.started:
        logger.info("a Git request failed after its answer had begun: %s", refusal.message)
    else:
        await exchange.refuse(refusal)
