"""``/healthz``, ``/livez`` and ``/readyz``: open to all, as in Kubernetes. ``?verbose`` lists the checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from moorage.api.bootstrap import Startup
from moorage.api.service import Service
from moorage.store.contracts import Unavailable

DATABASE_SECONDS = 2.0

Check = Callable[[], Awaitable[str]]
"""Returns what is wrong, "" for nothing."""


def add_health_routes(app: FastAPI, service: Service, startup: Startup) -> None:
    """Add the three endpoints to ``app``."""

    async def ping() -> str:
        return ""

    async def database() -> str:
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                await service.store.latest()
        except (TimeoutError, Unavailable) as error:
            return f"PostgreSQL does not answer: {error}"
        return ""

    async def started() -> str:
        return f"waiting for {startup.waiting_for}" if startup.waiting_for else ""

    async def shutdown() -> str:
        return "the server is shutting down" if service.stopping.is_set() else ""

    alive: Mapping[str, Check] = {"ping": ping}
    ready: Mapping[str, Check] = {"ping": ping, "database": database, "startup": started, "shutdown": shutdown}
    for path, checks in (("livez", alive), ("healthz", ready), ("readyz", ready)):
        app.add_api_route(f"/{path}", _endpoint(path, checks), methods=["GET"])
        app.add_api_route(f"/{path}/{{check}}", _single(checks), methods=["GET"])


def _endpoint(path: str, checks: Mapping[str, Check]) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    async def answer(request: Request) -> PlainTextResponse:
        excluded = request.query_params.getlist("exclude")
        problems = {name: await check() for name, check in checks.items() if name not in excluded}
        failed = any(problems.values())
        if not failed and "verbose" not in request.query_params:
            return PlainTextResponse("ok")
        lines = [f"[-]{name} failed: {text}" if text else f"[+]{name} ok" for name, text in problems.items()]
        lines.append(f"{path} check {'failed' if failed else 'passed'}")
        return PlainTextResponse("\n".join(lines) + "\n", status_code=503 if failed else 200)

    return answer


def _single(checks: Mapping[str, Check]) -> Callable[[str], Awaitable[PlainTextResponse]]:
    async def answer(check: str) -> PlainTextResponse:
        if check not in checks:
            return PlainTextResponse("404 page not found\n", status_code=404)
        problem = await checks[check]()
        return PlainTextResponse(problem + "\n" if problem else "ok", status_code=503 if problem else 200)

    return answer
