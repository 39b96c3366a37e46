"""``moorage tokens``: make, list and revoke bearer tokens: your own, and as an administrator those of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, Output, fail

if TYPE_CHECKING:
    from moorage.cli.session import Session

PATH = "/apis/moorage.io/v1/tokens"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

app = typer.Typer(
    no_args_is_help=True,
    help="Personal access tokens for Git and CI, and tokens for teams, nodes and people.",
    epilog="Examples: moorage tokens create ci --scope git --scope namespace:blue --ttl 90d --out ci.token | "
    "moorage tokens create --node worker-1 --out worker-1.token",
)


@app.command(
    epilog="Scopes: read (look at everything but Secrets), write (all that you may), git (push and fetch), git:read (fetch), "
    "namespace:NAME (only there). Without a scope, a token may all that you may. "
    "Example: moorage tokens create ci --scope git --scope namespace:blue --ttl 90d --out ci.token"
)
def create(
    name: Annotated[
        str, typer.Argument(help="What your own token is called; leave it out for a token of another.")
    ] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    scope: Annotated[list[str] | None, typer.Option(help="What it may be used for; may be repeated.")] = None,
    team: Annotated[str, typer.Option(help="For everybody in this team (administrators).")] = "",
    node: Annotated[
        str,
        typer.Option(
            help="For the agent of this node (administrators): it joins with it once, within 24 hours or --ttl."
        ),
    ] = "",
    user: Annotated[str, typer.Option(help="For this person (administrators).")] = "",
    group: Annotated[
        list[str] | None, typer.Option(help="A group of --user, e.g. teams:blue; may be repeated.")
    ] = None,
    ttl: Annotated[
        str,
        typer.Option(
            help="How long it is valid: 30m, 12h, 90d. Without: your own 90d, a node's 24h, others until revoked."
        ),
    ] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write it to this file (0600) instead of printing it.")] = None,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Make a token. It is shown once: only its hash is kept."""
    from moorage.cli.session import open_session

    subjects = {"team": team, "node": node, "user": user}
    if sum(map(bool, (name, *subjects.values()))) == 0:
        fail("give your token a name, for example: moorage tokens create ci --scope git")
    if sum(map(bool, subjects.values())) > 1:
        fail("give at most one of --team, --node and --user")
    spec: dict[str, Any] = {**subjects, "name": name, "description": description, "groups": group, "scopes": scope}
    spec = {key: value for key, value in spec.items() if value}
    if ttl:
        spec["ttlSeconds"] = seconds(ttl)
    token = make(open_session(data_dir, kubeconfig, context), spec)
    if out is None:
        print(token)
    else:
        from moorage.client.login.logins import write_private

        write_private(out.absolute(), token + "\n")
        print(f"written to {out}")


@app.command(name="list")
def list_(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    mine: Annotated[bool, typer.Option("--mine", help="Your own only, also where you may see all.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Those that are revoked, used or expired, too.")] = False,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "table",
) -> None:
    """Show whose tokens there are, and when they were last used. Their secrets cannot be shown: they are not kept."""
    from moorage.cli.output import structured, table
    from moorage.cli.session import open_session

    if output not in {"table", "json", "yaml"}:
        fail(f'--output "{output}": must be table, json or yaml')
    answer = open_session(data_dir, kubeconfig, context).request("GET", PATH + ("?mine=true" if mine else ""))
    if not show_all:
        answer["items"] = [item for item in answer["items"] if item["status"]["state"] == "valid"]
    if output != "table":
        structured(answer, output)
        return
    table(
        ("ID", "NAME", "USER", "SCOPES", "EXPIRES", "LAST USED", "STATE", "DESCRIPTION"),
        [_row(item) for item in answer["items"]],
    )


@app.command(epilog="The ID is the first column of: moorage tokens list")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID|NAME", help="Which one: its ID, or the name of your own.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Make a token invalid, within seconds on every server."""
    from urllib.parse import quote

    from moorage.cli.session import open_session

    path = f"{PATH}/{quote(token_id, safe='')}"
    code, answer = open_session(data_dir, kubeconfig, context).try_request("DELETE", path)
    if code == 404:
        fail(f'there is no token "{token_id}"; see: moorage tokens list')
    if code >= 400:
        fail(answer.get("message") or f"the API server answered {code}")
    print(f"{token_id} is revoked")


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    spec, status = item["spec"], item["status"]
    return (
        item["metadata"]["name"],
        spec.get("name", ""),
        spec["user"],
        ",".join(spec.get("scopes", ())) or "-",
        spec.get("expiresAt", "never"),
        status.get("lastUsedAt", "-"),
        status["state"],
        spec.get("description", ""),
    )


def make(session: Session, spec: dict[str, Any]) -> str:
    """A new token's secret."""
    document = {"apiVersion": "moorage.io/v1", "kind": "Token", "spec": spec}
    return str(session.request("POST", PATH, document)["status"]["token"])


def seconds(text: str) -> int:
    """``90d`` in seconds; fails with a sentence for what is no duration."""
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not number.isdigit():
        fail(f'--ttl "{text}": must be a number with s, m, h or d, for example 12h')
    return int(number) * unit
