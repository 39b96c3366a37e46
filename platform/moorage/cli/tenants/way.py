"""The way to tenants that the commands share: paths, options, completion of names, careful changes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, fail

if TYPE_CHECKING:
    from moorage.cli.session import Session

PATH = "/apis/tenancy.moorage.io/v1/tenants"
MERGE = "application/merge-patch+json"
ATTEMPTS = 5

Document = dict[str, Any]


def complete(context: typer.Context, incomplete: str) -> list[str]:
    """Names of tenants for the shell; nothing where the API cannot be asked."""
    given = context.params
    try:
        # A shell that completes shows nothing but names: neither why there are none, nor a trace.
        with contextlib.redirect_stderr(io.StringIO()):
            session = open_way(
                given.get("data_dir") or DEFAULT_DATA_DIR, given.get("kubeconfig"), given.get("context") or ""
            )
            found = session.request("GET", PATH)
    except typer.Exit:
        return []
    names = [item["metadata"]["name"] for item in found.get("items") or ()]
    return [name for name in names if name.startswith(incomplete)]


TenantName = Annotated[str, typer.Argument(metavar="NAME", help="The tenant.", autocompletion=complete)]


def open_way(data_dir: Path, kubeconfig: Path | None, context: str) -> Session:
    """A session with the options of the command."""
    from moorage.cli.session import open_session

    return open_session(data_dir, kubeconfig, context)


def path_of(name: str) -> str:
    """Where a tenant is."""
    return f"{PATH}/{quote(name, safe='')}"


def read(session: Session, name: str) -> Document:
    """A tenant; fails with what to do where there is none that the user may see."""
    code, answer = session.try_request("GET", path_of(name))
    if code == 404:
        fail(f'there is no tenant "{name}"; see: moorage tenants list')
    if code >= 400:
        fail(answer.get("message") or f"the API server answered {code}")
    return answer


def all_tenants(session: Session) -> list[Document]:
    """Every tenant that the user may see."""
    items: list[Document] = session.request("GET", PATH).get("items") or []
    return items


def change(session: Session, name: str, decide: Callable[[Document], Document | None]) -> Document:
    """Patch a tenant by what ``decide`` makes of its current state (None: nothing to do); again where somebody else was
    quicker.
    """
    for _ in range(ATTEMPTS):
        current = read(session, name)
        patch = decide(current)
        if patch is None:
            return current
        version = current["metadata"]["resourceVersion"]
        wanted = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": version}}
        code, answer = session.try_request("PATCH", path_of(name), wanted, MERGE)
        if code != 409:
            break
    if code == 409:
        fail(f'tenant "{name}" is being changed by somebody else all the time; try again')
    if code >= 400:
        fail(answer.get("message") or f"the API server answered {code}")
    return answer


def check_output(output: str) -> None:
    """Fail for a form that is not known."""
    if output not in ("table", "json", "yaml"):
        fail(f'--output "{output}": must be table, json or yaml')
