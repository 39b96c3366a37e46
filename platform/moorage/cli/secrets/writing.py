"""``set``, ``copy``, ``import``: commands that write Secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import fail
from moorage.cli.secrets.files import Values, encoded, parse_env, parse_json, read_file, values_of
from moorage.cli.secrets.gathering import gather
from moorage.cli.secrets.way import (
    MERGE_PATCH,
    NO_DATA_DIR,
    ContextName,
    DataDirectory,
    Document,
    KubeconfigFile,
    Namespace,
    SecretName,
    Way,
    open_way,
)

Type = Annotated[str, typer.Option("--type", help="The type of a new Secret. Default: Opaque.")]
Replace = Annotated[bool, typer.Option("--replace", help="Remove the keys that are not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        name="set",
        epilog="Examples: moorage secrets set db password | pass show db | moorage secrets set db password | "
        "moorage secrets set tls --type kubernetes.io/tls --from-file tls.crt=site.crt --from-file tls.key=site.key",
    )(set_)
    app.command(epilog="Example: moorage secrets copy db --to-namespace blue-staging")(copy)
    app.command(name="import", epilog="Example: moorage secrets import app .env --replace")(import_)


def set_(
    name: SecretName,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys whose values are asked for, or piped.")
    ] = None,
    from_file: Annotated[
        list[str] | None, typer.Option("--from-file", help="KEY=PATH or PATH: the contents of a file.")
    ] = None,
    from_env_file: Annotated[list[Path] | None, typer.Option("--from-env-file", help="KEY=VALUE lines.")] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", help="A key to remove.")] = None,
    type_: Type = "",
    replace: Replace = False,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Set values of a Secret, and make it where it is not there. Values never stand in arguments."""
    removed = list(unset or ())
    values: Values = {}
    if keys or from_file or from_env_file or not removed:
        values = gather(keys or (), from_file or (), from_env_file or ())
    way = open_way(data_dir, kubeconfig, context, namespace)
    store(way, name, values, type_=type_, replace=replace, removed=removed)


def copy(
    name: SecretName,
    to_namespace: Annotated[str, typer.Option("--to-namespace", help="Where to copy it to.")] = "",
    to: Annotated[str, typer.Option("--to", help="The name of the copy; default: the same.")] = "",
    replace: Replace = False,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Copy a Secret to another namespace or name. Needs the right to read the one and to write the other."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    target = Way(way.session, to_namespace or way.namespace)
    if (target.namespace, to or name) == (way.namespace, name):
        fail("a copy needs another place: give --to-namespace or --to")
    found = way.need(name)
    store(target, to or name, values_of(found), type_=str(found.get("type") or ""), replace=replace)


def import_(
    name: SecretName,
    file: Annotated[Path, typer.Argument(help="An .env or JSON file; - for what is piped.")],
    format_: Annotated[
        str, typer.Option("--format", help="env or json; default: by the file's name or contents.")
    ] = "",
    type_: Type = "",
    replace: Replace = False,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Set the values of a Secret from an .env or JSON file."""
    source = Path("/dev/stdin") if str(file) == "-" else file
    try:
        text = read_file(source).decode()
    except UnicodeDecodeError:
        fail(f"{file}: not UTF-8; give binary values by: moorage secrets set {name} --from-file KEY=PATH")
    if format_ not in ("", "env", "json"):
        fail(f"--format {format_}: must be env or json")
    chosen = format_ or ("json" if file.suffix == ".json" or text.lstrip().startswith("{") else "env")
    values = parse_json(text, str(file)) if chosen == "json" else parse_env(text, str(file))
    if not values:
        fail(f"{file} holds no values")
    store(open_way(data_dir, kubeconfig, context, namespace), name, values, type_=type_, replace=replace)


def store(
    way: Way,
    name: str,
    values: Mapping[str, bytes],
    *,
    type_: str = "",
    replace: bool = False,
    removed: list[str] | None = None,
) -> None:
    """Write values and say what changed, by key."""
    found = way.find(name)
    if found is None:
        if removed and not values:
            fail(f'there is no Secret "{name}" in namespace "{way.namespace}"')
        document: Document = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": type_ or "Opaque",
            "data": encoded(values),
        }
        way.session.request("POST", f"/api/v1/namespaces/{way.namespace}/secrets", document)
        print(f"secret/{name} created in {way.namespace}: {', '.join(sorted(values))}")
        return
    refuse_owned(found)
    before = values_of(found)
    gone = [key for key in (set(before) - set(values) if replace else removed or ()) if key in before]
    changed = {key: value for key, value in values.items() if before.get(key) != value}
    if not changed and not gone:
        print(f"secret/{name} unchanged")
        return
    patch: Document = {
        "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
        "data": {**encoded(changed), **dict.fromkeys(gone, None)},
    }
    way.session.request("PATCH", way.secret(name), patch, MERGE_PATCH)
    told = [f"set {', '.join(sorted(changed))}"] if changed else []
    told += [f"removed {', '.join(sorted(gone))}"] if gone else []
    print(f"secret/{name} changed in {way.namespace}: {'; '.join(told)}")


def refuse_owned(secret: Document) -> None:
    """Fails for a Secret that follows a SealedSecret: a change would be undone."""
    for owner in secret["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == "SealedSecret":
            name, namespace = secret["metadata"]["name"], secret["metadata"]["namespace"]
            fail(
                f'Secret "{name}" is made from SealedSecret "{owner["name"]}", which would undo this; seal the new value '
                f"and commit it: moorage secrets seal {name} KEY -n {namespace} --into FILE"
            )
