"""The commands: ``moorage audit`` and ``moorage audit verify``."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from moorage.cli.audit import rows as shown
from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, Output, fail

_DURATION = re.compile(r"(\d{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
OUTPUTS = ("table", "json", "yaml")
OUTCOMES = ("", "allowed", "refused")

app = typer.Typer(
    invoke_without_command=True,
    help="Who did what, newest first. A tenant's owner sees the rows about the tenant's namespaces.",
    epilog="Example: moorage audit --resource secrets --since 1d; moorage audit --follow -o json; moorage audit verify",
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
    outcome: Annotated[str, typer.Option("--outcome", help="allowed or refused.")] = "",
    commit: Annotated[str, typer.Option("--commit", help="What this Git commit did (its id, or how it begins).")] = "",
    revision: Annotated[str, typer.Option("--revision", help="What made this resourceVersion.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many rows to show; 0 for all.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Oldest first, and go on with those that come.")
    ] = False,
    output: Output = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Show the rows that fit all of the filters, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    _check(output, OUTPUTS, "--output")
    _check(outcome, OUTCOMES, "--outcome")
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
        ("outcome", outcome),
        ("commit", commit),
        ("revision", revision),
    ]
    filters = [pair for pair in asked if pair[1]]
    from moorage.cli.session import open_session

    session = open_session(data_dir, kubeconfig, context)

    def ask(path: str) -> dict[str, Any]:
        return session.request("GET", path)

    if follow:
        _follow(ask, filters, limit, output)
    else:
        _print(shown.rows(ask, filters, limit), output)


@app.command()
def verify(
    head: Annotated[
        str, typer.Option("--head", help="A head that was printed before: the chain must go through it.")
    ] = "",
    output: Output = "table",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Compute every hash anew and name the first row of each chain that was changed, added or taken away.

    Exit code 1 where there is one. Keep the head that is printed in another place: given with --head later, it proves that
    nothing before it was changed, not even by somebody who could write every table.
    """
    from moorage.cli.output import structured
    from moorage.cli.session import open_session

    _check(output, OUTPUTS, "--output")
    path = f"{shown.PATH}/verify" + (f"?{urlencode({'head': head})}" if head else "")
    found: dict[str, Any] = {}
    for line in open_session(data_dir, kubeconfig, context).lines(path):
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
            moment = f" ({shown.text_of(each['time'])})" if "time" in each else ""
            print(f"  chain {each['chain']}, row {each['seq']}{moment}: {each['what']}")
    if problems:
        raise typer.Exit(1)


def _follow(ask: shown.Ask, filters: shown.Filters, limit: int, output: str) -> None:
    if output == "table":
        typer.echo(shown.line(shown.HEADER))
    try:
        for row in shown.followed(ask, filters, limit):
            typer.echo(shown.one(row, output))
    except KeyboardInterrupt:
        # How it is ended.
        raise typer.Exit(0) from None


def _print(items: list[shown.Row], output: str) -> None:
    from moorage.cli.output import structured, table

    if output != "table":
        structured(items, output)
    elif not items:
        print("nothing was found")
    else:
        table(shown.HEADER, [shown.cells(each) for each in items])


def _check(value: str, known: tuple[str, ...], option: str) -> None:
    if value not in known:
        fail(f'{option} "{value}" must be one of {", ".join(each for each in known if each)}')


def _moment(text: str, option: str) -> str:
    """A time as the API takes it."""
    if not text:
        return ""
    if match := _DURATION.fullmatch(text):
        return shown.text_of(time.time() - int(match[1]) * _SECONDS[match[2]])
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        fail(f'{option} "{text}" must be a duration like 2h or 7d, or a time like 2026-01-31T12:00:00Z')
    return shown.text_of((moment if moment.tzinfo else moment.astimezone()).timestamp())
