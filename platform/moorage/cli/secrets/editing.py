"""``edit``: all values in an editor, in a file in memory that only its owner may read, and that is removed whatever happens."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
import yaml

from moorage.cli.options import fail
from moorage.cli.secrets.files import Values, check_key, encoded, values_of, yaml_text
from moorage.cli.secrets.way import (
    MERGE_PATCH,
    NO_DATA_DIR,
    ContextName,
    DataDirectory,
    Document,
    KubeconfigFile,
    Namespace,
    SecretName,
    open_way,
)
from moorage.cli.secrets.writing import refuse_owned

_HEAD = """\
# The values of Secret {namespace}/{name}. Save and leave to change them; leave without a change, or empty, to keep them.
# values: texts; binary: values that are no texts, in base64.
"""
_MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(epilog="Example: EDITOR='code --wait' moorage secrets edit db -n blue")(edit)


def edit(
    name: SecretName,
    namespace: Namespace = "",
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    data_dir: DataDirectory = NO_DATA_DIR,
) -> None:
    """Change the values of a Secret in $EDITOR. They are in a private file in memory meanwhile."""
    way = open_way(data_dir, kubeconfig, context, namespace)
    secret = way.need(name)
    refuse_owned(secret)
    before = values_of(secret)
    head = _HEAD.format(namespace=way.namespace, name=name)
    with private_folder() as folder:
        file = folder / f"{name}.yaml"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(head + _text(before))
        after = _edited(file, before)
    if after is None or after == before:
        print(f"secret/{name} unchanged")
        return
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    gone = [key for key in before if key not in after]
    patch: Document = {
        "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
        "data": {**encoded(changed), **dict.fromkeys(gone, None)},
    }
    way.session.request("PATCH", way.secret(name), patch, MERGE_PATCH)
    print(f"secret/{name} changed in {way.namespace}: {', '.join(sorted([*changed, *gone]))}")


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder (0700) in memory where the machine has some, removed at the end whatever happened."""
    parent = (
        _MEMORY
        if os.access(_MEMORY, os.W_OK | os.X_OK)
        else Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    )
    folder = Path(tempfile.mkdtemp(prefix="moorage-edit-", dir=parent))
    try:
        yield folder
    finally:
        # Editors leave copies beside the file: the whole folder goes.
        shutil.rmtree(folder)


def _edited(file: Path, before: Values) -> Values | None:
    """The values after the editor; None where nothing is to be changed. Asks again where they cannot be read."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    while True:
        try:
            done = subprocess.run([*editor, str(file)], check=False)
        except OSError as error:
            fail(f"the editor {editor[0]} cannot be started: {error.strerror or error}; set EDITOR")
        if done.returncode:
            fail(f"the editor ended with code {done.returncode}; nothing was changed")
        text = file.read_text(encoding="utf-8", errors="replace")
        if not [line for line in text.splitlines() if line.strip() and not line.startswith("#")]:
            return None
        problem, values = _parsed(text)
        if not problem:
            return values
        print(f"moorage: {problem}", file=sys.stderr)
        if not sys.stdin.isatty() or not typer.confirm("Edit again?", default=True):
            fail("nothing was changed")


def _parsed(text: str) -> tuple[str, Values]:
    """(what is wrong, values). No message shows a value."""
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        return f"line {line} is no YAML: {error.problem}", {}
    if not isinstance(document, dict) or document.keys() - {"values", "binary"}:
        return "there must be values and binary, and nothing else beside them", {}
    values: Document = {}
    for part, target in (("values", "stringData"), ("binary", "data")):
        found = document.get(part) or {}
        if not isinstance(found, dict):
            return f"{part} must be KEY: VALUE lines", {}
        bad = next((key for key, value in found.items() if not isinstance(value, str)), None)
        if bad is not None:
            return f"{part}.{bad} must be a text; put it in quotes", {}
        values[target] = {check_key(str(key)): value for key, value in found.items()}
    return "", values_of(values)


def _text(values: Values) -> str:
    texts: dict[str, str] = {}
    binary: dict[str, bytes] = {}
    for key, value in sorted(values.items()):
        try:
            texts[key] = value.decode()
        except UnicodeDecodeError:
            binary[key] = value
    document: Document = {"values": texts}
    if binary:
        document["binary"] = encoded(binary)
    return yaml_text(document)
