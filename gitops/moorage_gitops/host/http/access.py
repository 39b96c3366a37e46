"""Who asks, what for, and whether it may: authentication, the one ``authorise()``, and the Repository behind a path."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from moorage.api.contracts import Attributes, Client, Decision, Identity
from moorage.api.entrance import NOBODY, Entrance, client_of, outcome_of
from moorage.api.peer import peer_certificate
from moorage.resources.gitops import REPOSITORY
from moorage.resources.kind import Document, ResourceKey
from moorage.resources.names import dns_label
from moorage.store.contracts import Unavailable
from moorage_gitops.host.config import GitHostConfig
from moorage_gitops.host.http.exchange import Exchange, Refusal

_PATH = re.compile(
    r"/(?P<namespace>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)\Z"
)
_REPOSITORY = "/{namespace}/{name}.git"
ENDPOINTS = (
    ("GET", f"{_REPOSITORY}/info/refs?service=git-upload-pack"),
    ("GET", f"{_REPOSITORY}/info/refs?service=git-receive-pack"),
    ("POST", f"{_REPOSITORY}/git-upload-pack"),
    ("POST", f"{_REPOSITORY}/git-receive-pack"),
)
"""(method, path) of all that ``_PATH`` and ``target`` let through."""
_CHALLENGE = ((b"www-authenticate", b'Basic realm="Moorage", charset="UTF-8"'),)
DEFAULT_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Target:
    """The repository and the service that a path names. ``service`` is ``git-upload-pack`` or ``git-receive-pack``."""

    namespace: str
    name: str
    service: str
    advertise: bool

    @property
    def pushing(self) -> bool:
        """Whether this is a step of a push."""
        return self.service == "git-receive-pack"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user and the request it makes."""

    identity: Identity
    request_id: str
    client: Client


@dataclass(frozen=True, slots=True)
class Hosted:
    """A Repository object as the host needs it."""

    namespace: str
    name: str
    uid: str
    branch: str
    path: str
    document: Document

    @staticmethod
    def of(document: Document) -> Hosted:
        """From the object."""
        spec: dict[str, Any] = document.get("spec") or {}
        metadata = document["metadata"]
        return Hosted(
            metadata["namespace"],
            metadata["name"],
            metadata["uid"],
            spec.get("deployBranch") or DEFAULT_BRANCH,
            spec.get("path") or "",
            document,
        )


def target(exchange: Exchange) -> Target:
    """What the request's path and query name. Raises Refusal 404, 403."""
    path = exchange.scope["path"].removeprefix(exchange.scope.get("root_path", ""))
    match = _PATH.match(path.removeprefix("/git"))
    if match is None:
        raise Refusal(404, "no such page here; a repository's URL is .../git/NAMESPACE/NAME.git")
    namespace, name, service = match["namespace"], match["name"], match["service"]
    for what, value in (("namespace", namespace), ("repository name", name)):
        if problem := dns_label(value):
            raise Refusal(404, f"{value[:80]!r} cannot be a {what}: {problem}")
    advertise = service == "info/refs"
    if advertise:
        query = exchange.scope.get("query_string", b"").decode("latin-1")
        wanted = re.match(r"(?:.*&)?service=(git-upload-pack|git-receive-pack)(?:&|\Z)", query)
        if wanted is None:
            raise Refusal(403, "only the smart HTTP protocol is spoken here; use Git 1.6.6 or later")
        service = wanted[1]
    method = "GET" if advertise else "POST"
    if exchange.scope["method"] != method:
        raise Refusal(405, f"{method} only", ((b"allow", method.encode()),))
    return Target(namespace, name, service, advertise)


class Access:
    """Decides about requests to the Git host."""

    def __init__(self, config: GitHostConfig) -> None:
        self._config = config

    async def caller(self, exchange: Exchange, wanted: Target) -> Caller:
        """Who asks. Raises Refusal 401."""
        authorization = exchange.header(b"authorization")
        certificate = peer_certificate(exchange.scope)
        identity = None
        if authorization or certificate:  # Git sends credentials only when it is asked for them
            identity = await self._config.authenticator.authenticate(authorization, certificate)
        if identity is None or not identity.name:
            if authorization or certificate:
                self._refuse_login(exchange, wanted)
            raise Refusal(401, "log in with your token as the password; the user name does not matter", _CHALLENGE)
        return Caller(identity, str(uuid.uuid4()), client_of(exchange.scope))

    async def check(self, caller: Caller, wanted: Target) -> None:
        """Raises Refusal 403 unless the caller may read from, or push to, the repository."""
        if wanted.pushing:
            await self._require(caller, wanted, "create", "push")
        else:
            await self._require(caller, wanted, "get")

    async def check_create(self, caller: Caller, wanted: Target) -> None:
        """Raises Refusal unless the caller may create the repository (403) in a namespace that exists (404)."""
        await self._require(caller, wanted, "create")
        if await self._read("", "namespaces", "", wanted.namespace) is None:
            raise Refusal(
                404,
                f'namespace "{wanted.namespace}" does not exist. Create it and push again:\n'
                f"  kubectl create namespace {wanted.namespace}",
            )

    async def find(self, wanted: Target) -> Hosted | None:
        """The Repository, as of now; None where there is none or it is being deleted."""
        document = await self._read(*REPOSITORY.storage, wanted.namespace, wanted.name)
        if document is None or document["metadata"].get("deletionTimestamp"):
            return None
        return Hosted.of(document)

    async def _read(self, group: str, resource: str, namespace: str, name: str) -> Document | None:
        try:
            cache = await self._config.store.cache(ResourceKey(group, resource))
            await cache.wait(await self._config.store.latest())
        except Unavailable:
            raise Refusal(503, "the database cannot be reached; try again soon", ((b"retry-after", b"2"),)) from None
        entry = cache.get(namespace, name)
        document: Document | None = orjson.loads(entry.data) if entry else None
        return document

    def _refuse_login(self, exchange: Exchange, wanted: Target) -> None:
        config = self._config
        asked = _attributes(NOBODY, wanted, *(("create", "push") if wanted.pushing else ("get",)))
        entrance = Entrance(config.authenticator, config.authorizer, config.auditor)
        entrance.refuse(exchange.scope, dict(exchange.scope["headers"]), str(uuid.uuid4()), asked)

    async def _require(self, caller: Caller, wanted: Target, verb: str, subresource: str = "") -> None:
        """What is allowed is written down with what comes of it: by the commit, or as a refused push."""
        attributes = _attributes(caller.identity, wanted, verb, subresource)
        decision = await self._config.authorizer.authorise(attributes)
        if not decision.allowed:
            self._config.auditor.record(attributes, decision, outcome_of(caller.client, 403, caller.request_id))
            resource = f"{REPOSITORY.plural}.{REPOSITORY.group}" + (f"/{subresource}" if subresource else "")
            why = f": {decision.reason}" if decision.reason else ""
            raise Refusal(
                403,
                f'forbidden: user "{caller.identity.name}" may not {verb} {resource} "{wanted.name}" '
                f'in namespace "{wanted.namespace}"{why}',
            )

    def refused_push(self, caller: Caller, wanted: Target | Hosted, commit: str) -> None:
        """Write down that a push by somebody who may push was refused for what was in it; ``commit`` is what it would have
        made current.
        """
        attributes = _attributes(caller.identity, wanted, "create", "push")
        outcome = {**outcome_of(caller.client, 422, caller.request_id), "source_commit": commit}
        self._config.auditor.record(attributes, Decision(True), outcome)


def _attributes(identity: Identity, wanted: Target | Hosted, verb: str, subresource: str = "") -> Attributes:
    return Attributes(
        identity=identity,
        verb=verb,
        group=REPOSITORY.group,
        resource=REPOSITORY.plural,
        subresource=subresource,
        namespace=wanted.namespace,
        name=wanted.name,
    )
