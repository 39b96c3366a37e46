"""The subresources of pods that are no plain documents: ``/binding``, ``/eviction`` and ``/log``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from moorage.api import asgi
from moorage.api.answers import send_value
from moorage.api.bodies import object_body
from moorage.api.errors import ApiError, bad_request, not_found
from moorage.api.freshness import fresh
from moorage.api.options import flag, integer, write_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.streams.asking import container
from moorage.api.tunnel import api_error
from moorage.api.writing import binding
from moorage.api.writing.contracts import Planned, View
from moorage.api.writing.eviction import evicted, options_of
from moorage.client.tunnel import TunnelError
from moorage.resources import timestamps
from moorage.resources.core.pods.declaration import BINDING
from moorage.resources.kind import Document
from moorage.resources.policy import EVICTION

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
FIRST_SECONDS = 1.0
"""How long a node may take to say no before the client is told yes."""


async def bind(service: Service, request: Request) -> None:
    """POST of ``pods/NAME/binding``."""
    options = write_options(request.query, "CreateOptions")
    body = await object_body(request, BINDING, options.strictness)
    name = request.name
    writer = service.writer(request, options.manager, options.dry_run, options.strictness)

    async def plan(view: View) -> Planned:
        def change(old: Document) -> Document:
            return binding.bound(request.kind, old, body(), name)

        return await service.planner.update(view, writer, request.kind, request.namespace, name, change, "binding")

    await service.executor.run(plan, writer, service.origin(request, writer.manager))
    await send_value(request, SUCCESS, 201)


async def evict(service: Service, request: Request) -> None:
    """POST of ``pods/NAME/eviction``."""
    options = write_options(request.query, "CreateOptions")
    body = await object_body(request, EVICTION, options.strictness)
    dry_run = options.dry_run or options_of(body(), dry_run=False).dry_run
    writer = service.writer(request, options.manager, dry_run, options.strictness)

    async def plan(view: View) -> Planned:
        return await evicted(service.planner, view, writer, request.kind, request.namespace, request.name, body())

    await service.executor.run(plan, writer, service.origin(request, writer.manager))
    await send_value(request, SUCCESS, 201)


async def log(service: Service, request: Request) -> None:
    """GET of ``pods/NAME/log``: the node's stream, as it comes."""
    cache = await fresh(service.store, request.kind.storage)
    entry = cache.get(request.namespace, request.name)
    if entry is None:
        raise not_found(request.kind.group, request.kind.plural, request.name)
    pod = entry.document()
    asked = log_request(request, pod)
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        # As in Kubernetes: a pod without a node has an empty log.
        await request.respond(200, b"", asgi.TEXT)
        return
    async with service.config.tunnels.open(node, asked) as opened:
        await _Copy(service, request, aiter(opened)).run()


class _Copy:
    """One log on its way: until the node ends the stream, the client goes, or the server stops."""

    def __init__(self, service: Service, request: Request, chunks: AsyncIterator[bytes]) -> None:
        self._service = service
        self._request = request
        self._chunks = chunks

    async def run(self) -> None:
        """Answer. What the node refuses at once is a refusal; what goes wrong later is said in the stream, as kubelets do."""
        copier = asyncio.create_task(self._copy(), name="log: copy")
        listener = asyncio.create_task(_client_gone(self._request), name="log: client's end")

        def end() -> None:
            copier.cancel()

        self._service.streams.add(end)
        try:
            if not self._service.stopping.is_set():
                with self._service.standings.held(self._request.standing, end):
                    await asyncio.wait((copier, listener), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._service.streams.discard(end)
            for task in (copier, listener):
                task.cancel()
            await asyncio.gather(copier, listener, return_exceptions=True)
        if not copier.cancelled() and (error := copier.exception()) is not None:
            raise error
        await self._start()
        await self._request.send({"type": "http.response.body", "body": b""})

    async def _copy(self) -> None:
        first = asyncio.ensure_future(anext(self._chunks, None))
        try:
            await asyncio.wait((first,), timeout=FIRST_SECONDS)
            if not first.done():
                # A quiet log: the client should know that it is followed.
                await self._start()
            chunk = await first
            while chunk is not None:
                await self._start()
                await self._request.send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await anext(self._chunks, None)
        except TunnelError as error:
            if not self._request.code:
                raise api_error(error.status) from error
            text = f"\nthe log ends here: {error}\n".encode()
            await self._request.send({"type": "http.response.body", "body": text, "more_body": True})
        finally:
            first.cancel()

    async def _start(self) -> None:
        if self._request.code:
            return
        self._request.code = 200
        headers = [(b"content-type", asgi.TEXT), *self._request.answer_headers()]
        await self._request.send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._request.send({"type": "http.response.body", "body": b"", "more_body": True})


async def _client_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def log_request(request: Request, pod: Document) -> dict[str, Any]:
    """What to ask the node for. Raises ApiError 400 for options that make no sense (ValidatePodLogOptions)."""
    query = request.query
    asked: dict[str, Any] = {
        "kind": "logs",
        "namespace": request.namespace,
        "pod": request.name,
        "uid": pod["metadata"]["uid"],
        "container": container(query.get("container", ""), pod),
        "follow": bool(flag(query, "follow")),
        "previous": bool(flag(query, "previous")),
        "timestamps": bool(flag(query, "timestamps")),
        "tailLines": integer(query, "tailLines"),
        "sinceSeconds": integer(query, "sinceSeconds"),
        "sinceTime": query.get("sinceTime"),
        "limitBytes": integer(query, "limitBytes"),
    }
    for name, least in (("tailLines", 0), ("sinceSeconds", 1), ("limitBytes", 1)):
        if asked[name] is not None and asked[name] < least:
            raise _bad_option(name, asked[name], f"must be greater than or equal to {least}")
    if asked["sinceSeconds"] is not None and asked["sinceTime"]:
        raise _bad_option(
            "sinceSeconds", asked["sinceSeconds"], "at most one of `sinceTime` or `sinceSeconds` may be specified"
        )
    if asked["sinceTime"]:
        try:
            timestamps.parse(asked["sinceTime"])
        except ValueError as error:
            raise bad_request(f"sinceTime: {error}") from error
    return {key: value for key, value in asked.items() if value is not None}


def _bad_option(name: str, value: Any, text: str) -> ApiError:
    return ApiError(422, f'PodLogOptions "" is invalid: {name}: Invalid value: {value}: {text}')
