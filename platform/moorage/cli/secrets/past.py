"""``history`` and ``rollback``: the last versions of a Secret."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from moorage.cli.options import fail
from moorage.cli.output import structured, table
from moorage.cli.secrets.files import values_of
from moorage.cli.secrets.reading import show
from moorage.cli.secrets.way import (
    NO_DATA_DIR,
    ContextName,
    DataDirectory,
    Document,
    KubeconfigFile,
    Namespace,
    Output,
    SecretName,
    open_way,
)

_SIGNS = (("added", "+"), ("changed", "~"), ("removed", "-"))


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(epilog="Examples: moorage secrets history db | moorage secrets history db --version 3 --reveal")(
        history
    )
    app.command(epilog="Example: moorage secrets rollback db 3")(rollback)


def history(
    name: SecretName,
    version: Annotated[int, typer.Option("--version", min=0, help="Show this version.")] = 0,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show its values.")] = False,
    output: Output = "table",
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Show who changed which keys when (the last 10 versions), or one version. Also of a Secret that was deleted."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    if version:
        found = way.session.request("GET", way.secret(name, f"/history/{version}"))
        show(found, values_of(found), reveal=reveal, output=output)
        return
    items = way.session.request("GET", way.secret(name, "/history"))["items"]
    if output != "table":
        structured(items, output)
        return
    rows = [
        (item["version"], item["time"], item["user"], item.get("commit", "")[:10], _changed(item), _state(item))
        for item in items
    ]
    table(("VERSION", "TIME", "USER", "COMMIT", "KEYS", "STATE"), rows)


def rollback(
    name: SecretName,
    version: Annotated[int, typer.Argument(min=1, help="The version to go back to; see the history.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Put the values of an older version back, as a new version. Brings a deleted Secret back, too."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    if not yes:
        if not sys.stdin.isatty():
            fail("this changes the Secret; say --yes")
        if not typer.confirm(f"Put the values of version {version} into {way.namespace}/{name}?"):
            raise typer.Exit(1)
    written = way.session.request("POST", way.secret(name, "/rollback"), {"version": version})
    print(
        f"secret/{name} in {way.namespace} is as in version {version}: {', '.join(sorted(written.get('data') or {}))}"
    )


def _changed(item: Document) -> str:
    changes = item["changed"]
    return " ".join(f"{sign}{key}" for part, sign in _SIGNS for key in changes[part]) or "(labels or annotations)"


def _state(item: Document) -> str:
    if item["current"]:
        return "current"
    return f"deleted {item['deletedAt']}" if item.get("deletedAt") else ""
