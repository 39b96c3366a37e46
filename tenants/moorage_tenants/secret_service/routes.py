"""The paths of the endpoints, as applications for the composition root to mount."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from moorage.api.config import Mount
from moorage.api.errors import no_such_path
from moorage_tenants.secret_service.guard import answering
from moorage_tenants.secret_service.history import HistoryEndpoints
from moorage_tenants.secret_service.sealed import SealedEndpoints

SEALING_KEYS = "/apis/secrets.moorage.io/v1/sealingkeys"
OF_NAMESPACES = "/apis/moorage.io/v1/namespaces"

_SECRET = OF_NAMESPACES + "/{namespace}/secrets/{name}"
_SEALED = OF_NAMESPACES + "/{namespace}/sealedsecrets/{name}"


def mounts(sealed: SealedEndpoints, history: HistoryEndpoints) -> list[Mount]:
    """One application under each of its prefixes."""
    app = Router(
        [
            Route(SEALING_KEYS, answering(sealed.public_keys), methods=["GET"]),
            Route(_SEALED + "/unseal", answering(sealed.unseal), methods=["POST"]),
            Route(_SEALED + "/reseal", answering(sealed.reseal), methods=["POST"]),
            Route(_SECRET + "/history", answering(history.list), methods=["GET"]),
            Route(_SECRET + "/history/{version:int}", answering(history.get), methods=["GET"]),
            Route(_SECRET + "/rollback", answering(history.rollback), methods=["POST"]),
        ],
        redirect_slashes=False,
        default=_nothing_here,
    )
    return [Mount(SEALING_KEYS, app, impersonates=True), Mount(OF_NAMESPACES, app, impersonates=True)]


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    refusal = no_such_path()
    await JSONResponse(refusal.status(), status_code=refusal.code)(scope, receive, send)
