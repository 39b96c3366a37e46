"""Values in files: .env, JSON, and files that only their owner may read."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from moorage.cli.options import fail

Values = dict[str, bytes]

_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_LINE = re.compile(r"\s*(?:export\s+)?(?P<key>[-._a-zA-Z0-9]+)\s*=\s*(?P<value>.*?)\s*\Z", re.DOTALL)
_PLAIN = re.compile(r"[-_./:@%+=,a-zA-Z0-9]*\Z")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def check_key(key: str) -> str:
    """``key``, where it may be one of a Secret. Fails for others, without showing what stands behind ``=``."""
    if "=" in key:
        name = key.partition("=")[0]
        fail(
            f"{name}=... is refused: a value in an argument can be read by every process on this machine, and stays in your "
            f"shell's history (take it out, and give the value another time). Give the key alone and be asked for the value, "
            f"pipe it (... | moorage secrets set NAME {name}), or name a file (--from-file {name}=PATH)"
        )
    if not _KEY.match(key) or key == "." or key.startswith("..") or len(key) > 253:
        fail(f"{key!r} cannot be a key: up to 253 letters, digits, '-', '_' and '.', and not starting with '..'")
    return key


def read_file(path: Path) -> bytes:
    """A file's contents. Fails with one sentence."""
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror or error}")


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read (0600), whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        fail(f"{path}: cannot be written: {error.strerror or error}")


def parse_env(text: str, source: str) -> Values:
    """``KEY=VALUE`` lines with comments, ``export`` and quotes, as Docker and dotenv read them. Fails naming the line."""
    values: Values = {}
    lines = text.removeprefix("\ufeff").splitlines()
    number = 0
    while number < len(lines):
        first, line = number + 1, lines[number]
        number += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        # A quoted value may go over several lines.
        while _is_open(line) and number < len(lines):
            line += "\n" + lines[number]
            number += 1
        match = _LINE.match(line)
        if match is None or _is_open(line):
            fail(f"{source}:{first}: not KEY=VALUE (a value with spaces or line ends needs quotes)")
        values[check_key(match["key"])] = _unquoted(match["value"]).encode()
    return values


def _is_open(line: str) -> bool:
    """Whether a line begins a quoted value that it does not end."""
    value = line.partition("=")[2].lstrip()
    if value[:1] not in ("'", '"'):
        return False
    quote, rest = value[0], value[1:]
    if quote == '"':
        rest = re.sub(r"\\.", "", rest, flags=re.DOTALL)
    return quote not in rest


def _unquoted(value: str) -> str:
    if value[:1] == "'":
        return value[1 : value.index("'", 1)]
    if value[:1] == '"':
        end = re.match(r'"((?:[^"\\]|\\.)*)"', value, re.DOTALL)
        assert end is not None
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], "\\" + found[1]), end[1], flags=re.DOTALL)
    return re.split(r"\s+#", value)[0].rstrip()


def parse_json(text: str, source: str) -> Values:
    """A JSON object of texts, or a Secret. Fails where it is neither."""
    try:
        document = json.loads(text)
    except ValueError:
        fail(f"{source}: not JSON")
    if not isinstance(document, dict):
        fail(f'{source}: must be an object of texts, like {{"user": "...", "password": "..."}}, or a Secret')
    if document.get("kind") == "Secret":
        return values_of(document)
    values: Values = {}
    for key, value in document.items():
        if isinstance(value, bool | dict | list) or value is None:
            fail(f"{source}: {key}: must be a text or a number")
        values[check_key(key)] = str(value).encode()
    return values


def values_of(secret: Mapping[str, Any]) -> Values:
    """The values of a Secret document, ``stringData`` over ``data``."""
    values: Values = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            values[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            fail(f"data[{key}]: must be base64")
    for key, value in (secret.get("stringData") or {}).items():
        if not isinstance(value, str):
            fail(f"stringData[{key}]: must be a text; put it in quotes")
        values[key] = value.encode()
    return values


def encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    """As ``data`` has them."""
    return {key: base64.b64encode(value).decode() for key, value in values.items()}


def env_text(values: Mapping[str, bytes]) -> str:
    """Values as an .env file. Fails for what is no text."""
    return "".join(f"{key}={_quoted(_text(key, value))}\n" for key, value in sorted(values.items()))


def json_text(values: Mapping[str, bytes]) -> str:
    """Values as a JSON object. Fails for what is no text."""
    return json.dumps({key: _text(key, value) for key, value in sorted(values.items())}, indent=2) + "\n"


def _quoted(value: str) -> str:
    if _PLAIN.match(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def _text(key: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        fail(f"{key} is no text; take it alone: moorage secrets get NAME {key} --out FILE")
    if "\0" in text:
        fail(f"{key} holds U+0000; take it alone: moorage secrets get NAME {key} --out FILE")
    return text


def yaml_text(document: Mapping[str, Any]) -> str:
    """A document as YAML, long texts as blocks."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines are written as blocks."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)
