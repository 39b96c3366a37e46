"""``rotate-keys`` and ``public-key``: the keys of the platform."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import fail
from moorage.cli.secrets.files import read_file, write_private
from moorage.cli.secrets.way import (
    NO_DATA_DIR,
    ContextName,
    DataDirectory,
    Document,
    KubeconfigFile,
    Way,
    open_way,
)

ROTATIONS = "/apis/secrets.moorage.io/v1/keyrotations"
SEALING_KEYS = "/apis/secrets.moorage.io/v1/sealingkeys"
_WIDTH = 30


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        name="rotate-keys",
        epilog="Examples: moorage secrets rotate-keys | moorage secrets rotate-keys --namespace blue | "
        "moorage secrets rotate-keys --kek-file ~/.moorage/kek | moorage secrets rotate-keys --sealing-key",
    )(rotate_keys)
    app.command(name="public-key", epilog="Example: moorage secrets public-key --out platform.pub")(public_key)


def rotate_keys(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace's data key.")] = "",
    data_keys: Annotated[bool, typer.Option("--data-keys", help="Data keys, beside what else is named.")] = False,
    kek_file: Annotated[
        Path | None,
        typer.Option(
            help="A new key-encryption key: put in front of this file, which the servers read. On other machines, copy the "
            "file; the rotation waits until every server has it."
        ),
    ] = None,
    kms: Annotated[bool, typer.Option("--kms", help="A new key-encryption key, kept by the KMS.")] = False,
    forget_old: Annotated[
        bool,
        typer.Option(
            "--forget-old", help="Take older keys out of --kek-file at the end. Backups from before need them."
        ),
    ] = False,
    sealing_key: Annotated[bool, typer.Option("--sealing-key", help="A new key pair for SealedSecrets.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the progress until the end.")] = True,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Replace keys while everything runs. Without options: every namespace's data key, and all it sealed is sealed anew.

    It goes on where it was after a crash; see it with: kubectl get keyrotations
    """
    if kek_file is not None and kms:
        fail("give --kek-file or --kms: the key-encryption key is kept in one place")
    if forget_old and (kek_file is None or not wait):
        fail("--forget-old goes with --kek-file and waits for the end")
    way = open_way(data_dir, kubeconfig, context)
    spec: Document = {}
    if kek_file is not None or kms:
        spec["keyEncryptionKey"] = True
    if sealing_key:
        spec["sealingKey"] = True
    if data_keys or namespace or not spec:
        spec["dataKeys"] = True
    if namespace:
        spec["namespace"] = namespace
    wanted = "" if kek_file is None else _put_new_key_in_front(kek_file)
    document = {"apiVersion": "secrets.moorage.io/v1", "kind": "KeyRotation", "metadata": {"generateName": "rotate-"}}
    name = way.session.request("POST", ROTATIONS, {**document, "spec": spec})["metadata"]["name"]
    if not wait:
        print(f"keyrotation/{name} ordered; see: kubectl get keyrotation {name} -w")
        return
    status = _watch(way, name)
    if status["phase"] != "Succeeded":
        fail(
            f"keyrotation/{name} failed: {status.get('message')}; what was done stays done, and it may be ordered again"
        )
    if wanted and status.get("keyEncryptionKey") != wanted:
        fail(
            f"keyrotation/{name}: the key-encryption key is not the new one of {kek_file}: the servers of "
            f"{way.session.config.server} read another file, or none; put the new key in front of theirs"
        )
    if kms and "dataKeys" not in spec and not status.get("done"):
        fail(
            f"keyrotation/{name}: nothing was changed: the servers of {way.session.config.server} have no key management "
            "service (--kms-socket); give --kek-file for a key in a file"
        )
    print(f"keyrotation/{name} succeeded: {_summary(status)}")
    if kek_file is not None and forget_old:
        kept = read_file(kek_file).split()[0]
        write_private(kek_file, kept + b"\n")
        print(f"{kek_file} holds the new key alone")


def public_key(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file, for sealing offline.")] = None,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Print the public key that SealedSecrets are sealed to. It is no secret."""
    key = current_key(open_way(data_dir, kubeconfig, context))
    text = f"{key}\n"
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="ascii")
    except OSError as error:
        fail(f"{out}: cannot be written: {error.strerror or error}")
    print(f"written to {out}; seal without a server with: moorage secrets seal NAME KEY -n NAMESPACE --key {out}")


def current_key(way: Way) -> str:
    """The platform's current public key, in base64."""
    items = way.session.request("GET", SEALING_KEYS)["items"]
    return str(next(item["publicKey"] for item in items if item["current"]))


def _put_new_key_in_front(file: Path) -> str:
    """The id of the new key. Fails for a file that holds no keys, and shows none."""
    from moorage_tenants.sealing import BadKek, Kek, new_kek

    try:
        Kek.load(file)
    except BadKek as error:
        fail(error)
    write_private(file, new_kek().encode() + read_file(file))
    print(f"a new key-encryption key stands first in {file}")
    return Kek.load(file).first


def _watch(way: Way, name: str) -> Document:
    shown = ""
    while True:
        status: Document = way.session.request("GET", f"{ROTATIONS}/{name}")["status"]
        total, done = int(status.get("total") or 0), int(status.get("done") or 0)
        filled = _WIDTH * done // total if total else 0
        line = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{total} {status.get('message', '')}"
        if line != shown:
            shown = line
            if sys.stderr.isatty():
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            else:
                print(line, file=sys.stderr, flush=True)
        if status["phase"] in ("Succeeded", "Failed"):
            if sys.stderr.isatty():
                print(file=sys.stderr)
            return status
        time.sleep(0.3)


def _summary(status: Document) -> str:
    parts = [f"{status.get('done', 0)} sealed or wrapped again"]
    if status.get("namespaces"):
        parts.append(f"{status['namespaces']} namespaces with a new data key")
    if status.get("keyEncryptionKey"):
        parts.append(f"key-encryption key {status['keyEncryptionKey']}")
    return ", ".join(parts)
