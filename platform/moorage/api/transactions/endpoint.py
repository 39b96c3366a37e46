"""``POST /apis/moorage.io/v1/transactions`` and ``/batches``."""

from __future__ import annotations

from dataclasses import replace

from moorage.api.answers import send_value
from moorage.api.config import MAX_TRANSACTION
from moorage.api.contracts import TransactionRequest
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.api.transactions import wire
from moorage.api.transactions.engine import Engine


async def transaction(service: Service, request: Request) -> None:
    """All or none: 201, or the Status of what stands against it."""
    document = wire.decode(await request.body(MAX_TRANSACTION), request.header(b"content-type"), request.kind)
    asked = wire.request_of(document, request.kind, service.registry, atomic=True, request_id=request.id)
    await _permit_conditions(service, request, asked)
    result = await Engine(service).transact(request.identity, replace(asked, client=request.client))
    if not result.committed:
        raise wire.failure_of(result)
    await send_value(request, wire.answer_of(document, request.kind, result, codes=False), 201)


async def _permit_conditions(service: Service, request: Request, asked: TransactionRequest) -> None:
    """A condition on an object tells what it is like: it needs the right to get it. Raises ApiError 403."""
    for condition in asked.preconditions:
        key = condition.key
        await service.authorise(
            request.identity, "get", key.group, key.resource, namespace=key.namespace, name=key.name
        )


async def batch(service: Service, request: Request) -> None:
    """Each alone: 200, and the code of each."""
    document = wire.decode(await request.body(MAX_TRANSACTION), request.header(b"content-type"), request.kind)
    asked = wire.request_of(document, request.kind, service.registry, atomic=False, request_id=request.id)
    result = await Engine(service).transact(request.identity, replace(asked, client=request.client))
    if result.error is not None:
        raise wire.failure_of(result)
    await send_value(request, wire.answer_of(document, request.kind, result, codes=True))
