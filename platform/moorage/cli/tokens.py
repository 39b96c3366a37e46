"""``moorage tokens``: make, list and revoke bearer tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, DataDir, fail

if TYPE_CHECKING:
    from moorage.cli.session import Session

PATH = "/apis/moorage.io/v1/tokens"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

app = typer.Typer(
    no_args_is_help=True,
    help="Tokens for teams, nodes and people.",
    epilog="Example: moorage tokens create --team blue --ttl 30d --out blue.token",
)


@app.command()
def create(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    team: Annotated[str, typer.Option(help="For everybody in this team.")] = "",
    node: Annotated[str, typer.Option(help="For the agent of this node.")] = "",
    user: Annotated[str, typer.Option(help="For this person.")] = "",
    group: Annotated[
        list[str] | None, typer.Option(help="A group of --user, e.g. teams:blue; may be repeated.")
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: 30m, 12h, 90d; without, until it is revoked.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write it to this file (0600) instead of printing it.")] = None,
) -> None:
    """Make a token. It is shown once: only its hash is kept."""
    from moorage.cli.session import Session

    if sum(map(bool, (team, node, user))) != 1:
        fail("give exactly one of --team, --node and --user")
    spec: dict[str, Any] = {"team": team, "node": node, "user": user, "description": description}
    spec = {key: value for key, value in spec.items() if value}
    if group:
        spec["groups"] = group
    if ttl:
        spec["ttlSeconds"] = seconds(ttl)
    token = make(Session(data_dir), spec)
    if out is None:
        print(token)
    else:
        from moorage.supervisor.layout import write_private

        write_private(out, token + "\n")
        print(f"written to {out}")


@app.command(name="list")
def list_(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or yaml.")] = "table",
) -> None:
    """Show whose tokens there are. Their secrets cannot be shown: they are not kept."""
    from moorage.cli.output import structured, table
    from moorage.cli.session import Session

    answer = Session(data_dir).request("GET", PATH)
    if output in {"json", "yaml"}:
        structured(answer, output)
        return
    rows = [
        (
            item["metadata"]["name"],
            item["spec"]["user"],
            item["spec"].get("expiresAt", "never"),
            item["metadata"]["creationTimestamp"],
            item["spec"].get("description", ""),
        )
        for item in answer["items"]
    ]
    table(("ID", "USER", "EXPIRES", "CREATED", "DESCRIPTION"), rows)


@app.command(epilog="The ID is the first column of: moorage tokens list")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="Which one.")], data_dir: DataDir = DEFAULT_DATA_DIR
) -> None:
    """Make a token invalid, within seconds on every server."""
    from urllib.parse import quote

    from moorage.cli.session import Session

    Session(data_dir).request("DELETE", f"{PATH}/{quote(token_id, safe='')}")
    print(f"{token_id} is revoked")


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
