"""``get``, ``list``, ``export``: commands that read Secrets. Values are shown only where that is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import fail
from moorage.cli.output import structured, table
from moorage.cli.secrets.files import Values, env_text, json_text, values_of, write_private
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

MASK = "********"
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file (0600).")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        epilog="Examples: moorage secrets get db | moorage secrets get db password --reveal | "
        "moorage secrets get tls tls.key --out site.key"
    )(get)
    app.command(name="list", epilog="Example: moorage secrets list -n blue")(list_)
    app.command(epilog="Example: moorage secrets export app --out .env")(export)


def get(
    name: SecretName,
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="One value alone.")] = "",
    reveal: Annotated[bool, typer.Option("--reveal", help="Show values.")] = False,
    out: Out = None,
    output: Output = "table",
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Show a Secret: its keys and sizes, or its values with --reveal or --out. Every read is written down in the audit."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    secret = way.need(name)
    values = values_of(secret)
    if key and key not in values:
        fail(f'Secret "{name}" has no key "{key}"; it has {", ".join(sorted(values)) or "none"}')
    if key and out is not None:
        write_private(out, values[key])
        print(f"{key} written to {out}")
        return
    if key and reveal:
        sys.stdout.buffer.write(values[key])
        if sys.stdout.isatty():
            print()
        return
    shown = {key: values[key]} if key else values
    if out is not None:
        write_private(out, json_text(shown).encode())
        print(f"{len(shown)} values written to {out}")
        return
    show(secret, shown, reveal=reveal, output=output)


def list_(
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")] = False,
    output: Output = "table",
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """List Secrets: their types and keys, and where they come from. No values."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    path = "/api/v1/secrets" if all_namespaces else f"/api/v1/namespaces/{way.namespace}/secrets"
    items = way.session.request("GET", path)["items"]
    found = [
        {
            "namespace": item["metadata"]["namespace"],
            "name": item["metadata"]["name"],
            "type": item.get("type", ""),
            "keys": sorted(item.get("data") or {}),
            "from": _source(item),
            "created": item["metadata"]["creationTimestamp"],
        }
        for item in items
    ]
    if output != "table":
        structured(found, output)
        return
    header = ("NAMESPACE", "NAME", "TYPE", "KEYS", "FROM", "CREATED")
    rows = [
        (
            row["namespace"],
            row["name"],
            row["type"],
            ",".join(row["keys"][:4]) + (f" (+{len(row['keys']) - 4})" if len(row["keys"]) > 4 else ""),
            row["from"],
            row["created"],
        )
        for row in found
    ]
    first = 0 if all_namespaces else 1
    table(header[first:], [row[first:] for row in rows])


def export(
    name: SecretName,
    format_: Annotated[str, typer.Option("--format", help="env or json.")] = "env",
    out: Out = None,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Write all values of a Secret as an .env or JSON file, to --out or to the standard output."""
    if format_ not in ("env", "json"):
        fail(f"--format {format_}: must be env or json")
    if out is None and sys.stdout.isatty():
        fail("this would show every value on the screen; give --out FILE, or pipe it")
    values = values_of(open_way(data_dir, kubeconfig, context, namespace).need(name))
    text = env_text(values) if format_ == "env" else json_text(values)
    if out is None:
        print(text, end="")
    else:
        write_private(out, text.encode())
        print(f"{len(values)} values written to {out}")


def show(secret: Document, values: Values, *, reveal: bool, output: str) -> None:
    """Print a Secret, masked unless ``reveal``."""
    metadata = secret["metadata"]
    cells = {key: _cell(value, reveal=reveal) for key, value in sorted(values.items())}
    if output != "table":
        structured(
            {
                "namespace": metadata.get("namespace", ""),
                "name": metadata["name"],
                "type": secret.get("type", ""),
                "values": cells,
            },
            output,
        )
        return
    print(f"Secret {metadata.get('namespace', '')}/{metadata['name']} ({secret.get('type', 'Opaque')})")
    table(("KEY", "BYTES", "VALUE"), [(key, len(values[key]), cell) for key, cell in cells.items()])
    if not reveal:
        print("\nvalues are hidden; show them with --reveal, or write them to a file with --out FILE")


def _cell(value: bytes, *, reveal: bool) -> str:
    if not reveal:
        return MASK
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<binary, {len(value)} bytes: use --out>"


def _source(secret: Document) -> str:
    """What a Secret follows, for people."""
    metadata = secret["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']}/{owner['name']}"
    application = (metadata.get("labels") or {}).get("gitops.moorage.io/application")
    return f"git/{application}" if application else ""
