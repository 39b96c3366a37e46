"""``moorage audit``: who did what, from where, through which commit; and whether nobody has tampered with that."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, Output, fail

if TYPE_CHECKING:
    from moorage.cli.session import Session

PATH = "/apis/moorage.io/v1/audit"
PAGE = 500
_DURATION = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

app = typer.Typer(
    invoke_without_command=True,
    help="Who did what, newest first. A tenant's owner sees the rows about the tenant's namespaces.",
    epilog="Example: moorage audit --resource secrets --since 1d; moorage audit verify",
)


@app.callback()
def show(
    ctx: typer.Context,
    user: Annotated[str, typer.Option("--user", help="What this user did.")] = "",
    namespace: Annotated[
        list[str] | None, typer.Option("--namespace", "-n", help="In this namespace; may be given several times.")
    ] = None,
    resource: Annotated[str, typer.Option("--resource", help="To these objects: pods, deployments.apps ...")] = "",
    name: Annotated[str, typer.Option("--name", help="To objects of this name.")] = "",
    verb: Annotated[str, typer.Option("--verb", help="get, create, update, patch, delete, push ...")] = "",
    since: Annotated[str, typer.Option("--since", help="Not before: 30m, 2h, 7d, or 2026-01-31T12:00:00Z.")] = "",
    until: Annotated[str, typer.Option("--until", help="Before: as with --since.")] = "",
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    commit: Annotated[str, typer.Option("--commit", help="What this Git commit did (its id, or how it begins).")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many rows to show.")] = 50,
    output: Output = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Show the rows that fit all of the filters, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    plural, _, group = resource.partition(".")
    asked: list[tuple[str, str]] = [
        ("user", user),
        *(("namespace", each) for each in namespace or ()),
        ("resource", plural),
        ("group", group),
        ("name", name),
        ("verb", verb),
        ("since", _moment(since, "--since")),
        ("until", _moment(until, "--until")),
        ("refused", "true" if refused else ""),
        ("commit", commit),
    ]
    items = _rows(_session(data_dir, kubeconfig, context), [pair for pair in asked if pair[1]], limit)
    _print(items, output)


@app.command()
def verify(
    output: Output = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Compute every hash anew and name the first row of each chain that was changed, added or taken away.

    Exit code 1 where there is one. Keep the head that is printed in another place: a later head that follows from it proves
    that nothing before it was changed.
    """
    from moorage.cli.output import structured

    found: dict[str, Any] = {}
    for line in _session(data_dir, kubeconfig, context).lines(f"{PATH}/verify"):
        if "checked" in line and output == "table":
            typer.echo(f"\r{line['checked']:,} rows checked ...", nl=False, err=True)
        if "error" in line:
            fail(f"the audit could not be verified: {line['error']}")
        found = line.get("report", found)
    if not found:
        fail("the server ended before the audit was verified; try again")
    problems = found["problems"]
    if output != "table":
        structured(found, output)
    elif not problems:
        print(f"the audit is whole: {found['rows']:,} rows in {found['chains']} chains\nhead: {found['head']}")
    else:
        print(f"the audit is broken in {len(problems)} of {found['chains']} chains ({found['rows']:,} rows):")
        for each in problems:
            moment = f" ({_text(each['time'])})" if "time" in each else ""
            print(f"  chain {each['chain']}, row {each['seq']}{moment}: {each['what']}")
    if problems:
        raise typer.Exit(1)


def _session(data_dir: Path, kubeconfig: Path | None, context: str) -> Session:
    from moorage.cli.session import open_session

    return open_session(data_dir, kubeconfig, context)


def _rows(session: Session, asked: list[tuple[str, str]], limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    token = ""
    while len(items) < limit:
        page = [("limit", str(min(PAGE, limit - len(items)))), *([("continue", token)] if token else [])]
        answer = session.request("GET", f"{PATH}?{urlencode([*asked, *page])}")
        items += answer["items"]
        token = answer["metadata"].get("continue", "")
        if not token:
            break
    return items


def _print(items: list[dict[str, Any]], output: str) -> None:
    from moorage.cli.output import structured, table

    if output != "table":
        structured(items, output)
        return
    if not items:
        print("nothing was found")
        return
    rows = [
        (
            each["time"][:19] + "Z",
            each.get("user", "-"),
            _verb(each),
            _object(each),
            each.get("namespace", "-"),
            "yes" if each["allowed"] else f"no ({each.get('code', '-')})",
            each.get("sourceCommit", "-")[:10],
            each["detail"].get("sourceIP", "-"),
        )
        for each in items
    ]
    table(("TIME", "USER", "VERB", "OBJECT", "NAMESPACE", "ALLOWED", "COMMIT", "FROM"), rows)


def _verb(each: dict[str, Any]) -> str:
    behind = each["detail"].get("impersonator", "")
    return f"{each['verb']} (by {behind})" if behind else str(each["verb"])


def _object(each: dict[str, Any]) -> str:
    """``deployments.apps/web``; the path where the request was about no object."""
    if "resource" not in each:
        return str(each["detail"].get("path", "-"))
    kind = f"{each['resource']}.{each['group']}" if "group" in each else each["resource"]
    named = f"{kind}/{each['name']}" if "name" in each else kind
    return f"{named} ({each['subresource']})" if "subresource" in each else str(named)


def _moment(text: str, option: str) -> str:
    """A time as the API takes it."""
    if not text:
        return ""
    if match := _DURATION.fullmatch(text):
        return _text(time.time() - int(match[1]) * _SECONDS[match[2]])
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        fail(f'{option} "{text}" must be a duration like 2h or 7d, or a time like 2026-01-31T12:00:00Z')
    return _text((moment if moment.tzinfo else moment.astimezone()).timestamp())


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
