"""Where values come from: a prompt without echo, a pipe, files. Never an argument."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from moorage.cli.options import fail
from moorage.cli.secrets.files import Values, check_key, parse_env, read_file


def gather(keys: Sequence[str], from_file: Sequence[str], env_files: Sequence[Path]) -> Values:
    """The values that the options name. Fails where they name none."""
    values: Values = {}
    for path in env_files:
        values |= parse_env(_text(path), str(path))
    for given in from_file:
        key, found, place = given.partition("=")
        path = Path(place if found else given)
        values[check_key(key if found else path.name)] = read_file(path)
    for key in keys:
        check_key(key)
    values |= _asked(keys)
    if not values:
        fail(
            "no value was given: name a KEY and be asked for it, pipe it, or give --from-file KEY=PATH or --from-env-file PATH"
        )
    return values


def _asked(keys: Sequence[str]) -> Values:
    if not keys:
        return {}
    if not sys.stdin.isatty():
        if len(keys) > 1:
            fail(
                f"one value can be piped, and {len(keys)} keys are named; pipe an .env file: --from-env-file /dev/stdin"
            )
        value = sys.stdin.buffer.read()
        # What echo and editors add; a file that needs it is given by --from-file.
        return {keys[0]: value[:-1] if value.endswith(b"\n") else value}
    values: Values = {}
    for key in keys:
        first = getpass.getpass(f"{key}: ")
        if first != getpass.getpass(f"{key} again: "):
            fail(f"the two values of {key} differ; nothing was changed")
        values[key] = first.encode()
    return values


def _text(path: Path) -> str:
    try:
        return read_file(path).decode()
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8")
