"""Endpoints beside the resources: version, metrics, CA, discovery, OpenAPI.

``/version`` and ``/cacerts`` are open to all; everything else asks the authorizer for the path, as Kubernetes does.
"""

from __future__ import annotations

import asyncio
import platform
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

import moorage
from moorage.api import asgi, discovery, openapi
from moorage.api.contracts import Attributes
from moorage.api.encode import dumps, yaml_bytes
from moorage.api.entrance import client_of, outcome_of
from moorage.api.errors import ApiError, no_such_path
from moorage.api.failures import refusal_of
from moorage.api.negotiate import JSON, OPENAPI_V2_PROTOBUF, YAML, for_discovery, for_openapi_v2, for_openapi_v3
from moorage.api.request import new_request_id
from moorage.api.router import Router, method_not_allowed
from moorage.api.service import Service, denied
from moorage.store.contracts import OutcomeUnknown, Unavailable

MAJOR, MINOR = "1", "36"
"""The Kubernetes version whose API is served."""


def add_public_routes(app: FastAPI, service: Service, router: Router) -> None:
    """Add all of them to ``app``."""
    endpoints = _Endpoints(service, router)
    for path in ("/version", "/version/"):  # kr8s asks with the slash
        app.add_api_route(path, endpoints.version, methods=["GET"])
    app.add_api_route("/cacerts", endpoints.cacerts, methods=["GET"])
    app.add_api_route("/metrics", endpoints.metrics, methods=["GET"])
    app.add_api_route("/openapi/v2", endpoints.openapi_v2, methods=["GET"])
    app.add_api_route("/openapi/v3", endpoints.openapi_index, methods=["GET"])
    app.add_api_route("/openapi/v3/{path:path}", endpoints.openapi_v3, methods=["GET"])
    for path in ("/api", "/apis", "/api/{version}", "/apis/{group}", "/apis/{group}/{version}"):
        app.add_api_route(path, endpoints.discovery, methods=["GET"])
        app.add_api_route(path + "/", endpoints.discovery, methods=["GET"])


class _Endpoints:
    def __init__(self, service: Service, router: Router) -> None:
        self._service = service
        self._router = router

    async def version(self) -> Response:
        """What is served, in Kubernetes' terms, and what serves it."""
        return _json(
            {
                "major": MAJOR,
                "minor": MINOR,
                "gitVersion": f"v{MAJOR}.{MINOR}.0+moorage{moorage.__version__}",
                "gitCommit": "",
                "gitTreeState": "clean",
                "buildDate": "",
                "goVersion": "",
                "compiler": platform.python_implementation(),
                "platform": f"{platform.system().lower()}/{_architecture()}",
                **self._service.config.version,
            }
        )

    async def cacerts(self) -> Response:
        """The CA's certificate: clients compare its hash with the one in their token."""
        return Response(self._service.config.ca_pem, media_type="application/x-pem-file")

    async def metrics(self, request: Request) -> Response:
        """Prometheus text."""
        await self._permit(request)
        lines = [*self._service.metrics.lines(), *self._service.flow.lines(), *await self._store_lines()]
        for source in self._service.config.metrics:
            lines.extend(source())
        text = "\n".join(lines) + "\n"
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _store_lines(self) -> list[str]:
        up = ["# HELP moorage_store_up Whether PostgreSQL answers.", "# TYPE moorage_store_up gauge"]
        try:
            revision = await self._service.store.latest()
        except Unavailable:
            return [*up, "moorage_store_up 0"]
        return [
            *up,
            "moorage_store_up 1",
            "# HELP moorage_store_revision The newest resourceVersion.",
            "# TYPE moorage_store_revision counter",
            f"moorage_store_revision {revision}",
        ]

    async def discovery(self, request: Request) -> Response:
        """``/api`` and ``/apis``, whole or in parts."""
        await self._permit(request)
        form = for_discovery(request.headers.get("accept", ""))
        path = request.url.path.rstrip("/")
        document = discovery.document(
            self._service.registry, path, aggregated=bool(form.kind), version=form.version or "v2"
        )
        if document is None:
            raise no_such_path()
        tag = discovery.etag(document)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        body = yaml_bytes(document) if form.media_type == YAML else dumps(document)
        return Response(body, headers={"etag": tag, "vary": "Accept"}, media_type=form.content_type)

    async def openapi_v2(self, request: Request) -> Response:
        """One document for all kinds."""
        await self._permit(request)
        asked = for_openapi_v2(request.headers.get("accept", "")).media_type
        registry, zipped = self._service.registry, _takes_gzip(request)
        protobuf = asked != JSON
        form = OPENAPI_V2_PROTOBUF if protobuf else JSON
        tag = f'"{openapi.v2_hash(registry)}{"-protobuf" if protobuf else ""}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        # Rendering for the first time takes a while: not in the event loop.
        return _published(await asyncio.to_thread(openapi.v2, registry, zipped, protobuf), zipped, tag, form)

    async def openapi_index(self, request: Request) -> Response:
        """Where each group's document is."""
        await self._permit(request)
        for_openapi_v3(request.headers.get("accept", ""))
        return Response(openapi.v3_index(self._service.registry), media_type="application/json")

    async def openapi_v3(self, request: Request, path: str) -> Response:
        """One group's document; where the URL names its hash it never changes."""
        await self._permit(request)
        for_openapi_v3(request.headers.get("accept", ""))
        registry, zipped = self._service.registry, _takes_gzip(request)
        document = await asyncio.to_thread(openapi.v3, registry, path, zipped)
        if document is None:
            raise no_such_path()
        digest = openapi.v3_hash(registry, path)
        answer = _published(document, zipped, f'"{digest}"')
        if request.query_params.get("hash") == digest:
            answer.headers["cache-control"] = "public, immutable"
        return answer

    async def _permit(self, request: Request) -> None:
        """Raises ApiError 401 and 403."""
        request_id = new_request_id()
        identity = await self._router.entrance.identify(request.scope, None, request_id)
        attributes = Attributes(identity, request.method.lower(), path=request.url.path)
        decision = await self._service.config.authorizer.authorise(attributes)
        if not decision.allowed:
            outcome = outcome_of(client_of(request.scope), 403, request_id)
            self._service.config.auditor.record(attributes, decision, outcome)
            raise denied(attributes, decision)


def error_handlers(app: FastAPI) -> None:
    """Refusals outside of the resource verbs are Statuses too."""

    async def refused(request: Request, error: Exception) -> Response:
        refusal = refusal_of(error, new_request_id(), f"{request.method} {request.url.path}")
        return Response(asgi.error_body(refusal), refusal.code, refusal.headers, "application/json")

    async def http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = method_not_allowed() if error.status_code == 405 else no_such_path()
        return Response(asgi.error_body(known), known.code, known.headers, "application/json")

    for kind in (ApiError, Unavailable, OutcomeUnknown):
        app.add_exception_handler(kind, refused)
    app.add_exception_handler(HTTPException, http)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _published(document: bytes, zipped: bool, tag: str, form: str = JSON) -> Response:
    headers = {"etag": tag, "vary": "Accept-Encoding, Accept"}
    if zipped:
        headers["content-encoding"] = "gzip"
    return Response(document, headers=headers, media_type=form)


def _json(value: Any) -> Response:
    return Response(dumps(value), media_type="application/json")


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
