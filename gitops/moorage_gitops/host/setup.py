"""The first push: makes the Repository and its Application; takes them back where that push is refused."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from moorage.api.contracts import Operation, TransactionRequest
from moorage.api.errors import ApiError
from moorage.resources.gitops import APPLICATION, REPOSITORY
from moorage.resources.kind import Document, Kind
from moorage.store.contracts import OutcomeUnknown, Unavailable
from moorage_gitops.host.deploy.plan import Application
from moorage_gitops.host.host import Host
from moorage_gitops.host.http.access import DEFAULT_BRANCH, Caller, Hosted, Target
from moorage_gitops.host.http.exchange import Refusal
from moorage_gitops.host.http.head import BadPush
from moorage_gitops.names import FIELD_MANAGER

_BRANCHES = "refs/heads/"


def first_branch(refs: Sequence[str]) -> str:
    """The deploy branch of a new repository: ``main`` where it is pushed, else the only branch that is, else ``main``."""
    branches = [ref.removeprefix(_BRANCHES) for ref in refs if ref.startswith(_BRANCHES)]
    return branches[0] if len(branches) == 1 else DEFAULT_BRANCH


async def create(host: Host, caller: Caller, target: Target, branch: str) -> Document:
    """Create the Repository; returns it. Raises BadPush."""
    document = {
        "apiVersion": REPOSITORY.api_version,
        "kind": REPOSITORY.kind,
        "metadata": {"namespace": target.namespace, "name": target.name},
        "spec": {"deployBranch": branch},
    }
    return await _write(host, caller, _create(REPOSITORY, document))


async def applications(host: Host, caller: Caller, hosted: Hosted) -> tuple[list[Application], Document | None]:
    """The Applications of a repository. Where there is none, one of its name is created, and returned as a document too."""
    cache = await host.config.store.cache(APPLICATION.storage)
    await cache.wait(await host.config.store.latest())
    documents = [orjson.loads(entry.data) for entry in cache.entries(hosted.namespace)]
    mine = [
        document
        for document in documents
        if (document.get("spec") or {}).get("repository", document["metadata"]["name"]) == hosted.name
    ]
    made = None
    if not mine:
        document = {
            "apiVersion": APPLICATION.api_version,
            "kind": APPLICATION.kind,
            "metadata": {"namespace": hosted.namespace, "name": hosted.name},
            "spec": {"repository": hosted.name},
        }
        made = await _write(host, caller, _create(APPLICATION, document))
        mine = [made]
    alive = [document for document in mine if not document["metadata"].get("deletionTimestamp")]
    return [Application.of(document, hosted.branch, hosted.path) for document in alive], made


async def take_back(host: Host, caller: Caller, made: Sequence[tuple[Kind, Document]]) -> None:
    """Delete what a refused first push had created."""
    operations = [
        Operation(
            verb="delete",
            kind=kind,
            namespace=document["metadata"]["namespace"],
            name=document["metadata"]["name"],
            uid=document["metadata"]["uid"],
        )
        for kind, document in made
    ]
    request = TransactionRequest(operations=operations, request_id=caller.request_id, client=caller.client)
    await host.config.transactor.transact(caller.identity, request)
    for kind, document in made:
        if kind is REPOSITORY:
            host.repositories.remove(document["metadata"]["uid"])


def _create(kind: Kind, document: Document) -> Operation:
    metadata = document["metadata"]
    return Operation(
        verb="create",
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        document=document,
        field_manager=FIELD_MANAGER,
    )


async def _write(host: Host, caller: Caller, operation: Operation) -> Document:
    request = TransactionRequest(
        operations=[operation], field_manager=FIELD_MANAGER, request_id=caller.request_id, client=caller.client
    )
    try:
        result = await host.config.transactor.transact(caller.identity, request)
    except (Unavailable, OutcomeUnknown, ApiError) as error:
        raise Refusal(503, f"the repository could not be created: {error}; push again") from error
    refused = next((item.error for item in result.results if item.error), result.error)
    if refused is not None:
        raise BadPush(f"the {operation.kind.singular} could not be created: {refused.get('message', 'refused')}")
    document = result.results[0].document
    assert document is not None
    return document
