"""``seal`` and ``unseal``: Secrets in a form that may be committed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import fail
from moorage.cli.secrets.files import Values, read_file, values_of, write_private, yaml_text
from moorage.cli.secrets.gathering import gather
from moorage.cli.secrets.keys import current_key
from moorage.cli.secrets.manifests import documents, replaced
from moorage.cli.secrets.reading import show
from moorage.cli.secrets.way import (
    NO_DATA_DIR,
    ContextName,
    DataDirectory,
    Document,
    KubeconfigFile,
    Namespace,
    Output,
    Way,
    open_way,
)

API_VERSION = "secrets.moorage.io/v1"
_DROPPED = ("kubectl.kubernetes.io/last-applied-configuration",)
"""Annotations that would carry the plain values along."""
_DROPPED_PREFIXES = ("gitops.moorage.io/",)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        epilog="Examples: moorage secrets seal db password -n blue > db.yaml | "
        "moorage secrets seal --manifest deploy/secret.yaml --in-place -n blue | "
        "moorage secrets seal db --from-secret -n blue --out db.yaml | moorage secrets seal --reseal db.yaml --in-place"
    )(seal)
    app.command(epilog="Example: moorage secrets unseal db.yaml --reveal")(unseal)


def seal(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The Secret's name.")] = "",
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys whose values are asked for, or piped.")
    ] = None,
    from_file: Annotated[list[str] | None, typer.Option("--from-file", help="KEY=PATH or PATH.")] = None,
    from_env_file: Annotated[list[Path] | None, typer.Option("--from-env-file", help="KEY=VALUE lines.")] = None,
    from_secret: Annotated[bool, typer.Option("--from-secret", help="Seal the Secret NAME that is there.")] = False,
    manifest: Annotated[
        list[Path] | None, typer.Option("--manifest", help="Seal the Secrets in a file of manifests.")
    ] = None,
    reseal: Annotated[
        list[Path] | None, typer.Option("--reseal", help="Seal a file's SealedSecrets to the current key.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Write --manifest or --reseal back to the file.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--into", help="Add to, or change in, the SealedSecret of this file.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of printing.")] = None,
    type_: Annotated[str, typer.Option("--type", help="The Secret's type. Default: Opaque.")] = "",
    key_file: Annotated[
        Path | None, typer.Option("--key", help="A saved public key (moorage secrets public-key): asks no server.")
    ] = None,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Encrypt values so that only the platform can read them, and only as this Secret in this namespace. Commit the result."""
    sources = sum(map(bool, (name, manifest, reseal)))
    if sources != 1:
        fail("give a NAME, or --manifest FILE, or --reseal FILE: one of them")
    if key_file is not None and (from_secret or reseal):
        fail("--key asks no server, but --from-secret and --reseal need one")
    if key_file is not None and not namespace:
        fail("--key asks no server, so say which namespace the Secret is for: -n NAMESPACE")
    values: Values = {}
    if name and not from_secret:
        values = gather(keys or (), from_file or (), from_env_file or ())
    way = None if key_file is not None else open_way(data_dir, kubeconfig, context, namespace)
    place = namespace or (way.namespace if way is not None else "")
    if reseal:
        assert way is not None
        _each_file(reseal, lambda document: _resealed(way, document), "SealedSecret", in_place=in_place, out=out)
        return
    sealer = _Sealer(_public(key_file, way), place)
    if manifest:
        _each_file(manifest, sealer.of_secret, "Secret", in_place=in_place, out=out)
        return
    if from_secret:
        assert way is not None
        sealed = sealer.of_secret(way.need(name))
        if sealed is None:
            fail(f'Secret "{name}" holds no values')
    else:
        sealed = sealer.of_values(name, values, type_)
    if into is not None:
        _add_to(into, sealed)
        return
    _give(yaml_text(sealed), out)


def unseal(
    file: Annotated[Path, typer.Argument(help="A file with SealedSecrets.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="Show values.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the Secrets to this file (0600).")] = None,
    output: Output = "table",
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Open SealedSecrets. The server does, for who may read the Secret; it is written down like a read."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    found = documents(file, "SealedSecret")
    if not found:
        fail(f"{file} holds no SealedSecret")
    opened = []
    for document in found:
        name, place = _placed(document, way.namespace)
        target = Way(way.session, place)
        opened.append(target.session.request("POST", target.sealed(name, "/unseal"), document))
    if out is not None:
        write_private(out, "---\n".join(map(yaml_text, opened)).encode())
        print(f"{len(opened)} Secrets written to {out}")
        return
    for secret in opened:
        show(secret, values_of(secret), reveal=reveal, output=output)


class _Sealer:
    """Seals to one public key."""

    def __init__(self, public: bytes, namespace: str) -> None:
        self._public = public
        self._namespace = namespace

    def of_secret(self, document: Document) -> Document | None:
        """The SealedSecret of a Secret that holds values; None for every other document."""
        if document.get("kind") != "Secret" or not (document.get("data") or document.get("stringData")):
            return None
        metadata = document.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if not isinstance(name, str) or not name:
            fail("a Secret without metadata.name cannot be sealed: it is bound to its name")
        assert isinstance(metadata, dict)
        namespace = str(metadata.get("namespace") or self._namespace)
        sealed = self._sealed(name, namespace, values_of(document))
        template: Document = {}
        kept = {part: _kept(metadata.get(part) or {}) for part in ("labels", "annotations")}
        if any(kept.values()):
            template["metadata"] = {part: value for part, value in kept.items() if value}
        if document.get("type") not in (None, "", "Opaque"):
            template["type"] = document["type"]
        if document.get("immutable"):
            template["immutable"] = True
        if template:
            sealed["spec"]["template"] = template
        return sealed

    def of_values(self, name: str, values: Values, type_: str) -> Document:
        """The SealedSecret of ``values``."""
        sealed = self._sealed(name, self._namespace, values)
        if type_ and type_ != "Opaque":
            sealed["spec"]["template"] = {"type": type_}
        return sealed

    def _sealed(self, name: str, namespace: str, values: Values) -> Document:
        from moorage_tenants.sealed_secrets import cipher

        encrypted = {
            key: cipher.seal(self._public, value, namespace=namespace, name=name, key=key)
            for key, value in sorted(values.items())
        }
        return {
            "apiVersion": API_VERSION,
            "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"encryptedData": encrypted},
        }


def _public(key_file: Path | None, way: Way | None) -> bytes:
    """The public key: from a file, or the server's."""
    if key_file is not None:
        text, source = read_file(key_file).decode("ascii", "replace").strip(), str(key_file)
    else:
        assert way is not None
        text, source = current_key(way), way.session.config.server
    try:
        public = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        public = b""
    if len(public) != 32:
        fail(f"{source}: no public key; save one with: moorage secrets public-key --out FILE")
    return public


def _each_file(files: list[Path], replace: object, what: str, *, in_place: bool, out: Path | None) -> None:
    """Replace documents in every file, and write or print the result."""
    assert callable(replace)
    texts = []
    for file in files:
        text, count = replaced(file, replace)
        if not count:
            fail(f"{file} holds no {what} to seal")
        if in_place:
            _write(file, text)
            print(f"{file}: {count} sealed")
        texts.append(text)
    if not in_place:
        _give("---\n".join(texts), out)


def _resealed(way: Way, document: Document) -> Document | None:
    if document.get("kind") != "SealedSecret":
        return None
    name, namespace = _placed(document, way.namespace)
    target = Way(way.session, namespace)
    answer = target.session.request("POST", target.sealed(name, "/reseal"), document)
    return {**document, "spec": {**document["spec"], "encryptedData": answer["spec"]["encryptedData"]}}


def _add_to(file: Path, sealed: Document) -> None:
    """Put the values into the SealedSecret of the same name and namespace in ``file``."""
    place = (sealed["metadata"]["name"], sealed["metadata"]["namespace"])

    def merged(document: Document) -> Document | None:
        if document.get("kind") != "SealedSecret" or _placed(document, place[1]) != place:
            return None
        spec = document.get("spec") or {}
        values = {**(spec.get("encryptedData") or {}), **sealed["spec"]["encryptedData"]}
        return {**document, "spec": {**spec, "encryptedData": values}}

    text, count = replaced(file, merged)
    if not count:
        fail(f"{file} holds no SealedSecret {place[1]}/{place[0]}")
    _write(file, text)
    print(f"{file}: {', '.join(sorted(sealed['spec']['encryptedData']))} sealed")


def _placed(document: Mapping[str, object], namespace: str) -> tuple[str, str]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        fail("a SealedSecret without metadata.name")
    return str(metadata["name"]), str(metadata.get("namespace") or namespace)


def _kept(entries: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value for key, value in entries.items() if key not in _DROPPED and not key.startswith(_DROPPED_PREFIXES)
    }


def _give(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    _write(out, text)
    print(f"written to {out}; it may be committed")


def _write(file: Path, text: str) -> None:
    """Write what is no secret (any more)."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror or error}")
