"""What a plain YAML scalar means: the rules of the loader inside kubectl (go-yaml v2, YAML 1.1 with a few 1.2 forms).

They differ from PyYAML's: ``22:22`` and dates stay strings, ``010`` is octal, ``0o17`` is 15, ``y`` and ``on`` are true.
Source: the behaviour of kubectl 1.37, with which ``tests/integration/gitops/test_yaml_kubectl.py`` compares a table.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct

Scalar = str | int | float | bool | None

STR, INT, FLOAT, BOOL, NULL, BINARY, TIMESTAMP = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "binary", "timestamp")
)
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_NUMERIC = frozenset("+-.0123456789")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))\Z"
)
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
_INT64 = 1 << 63
_MOST_FIGURES = 64
"""What an integer of 64 bits has in base two."""


class WrongScalar(ValueError):
    """A scalar that its explicit tag or JSON cannot hold; the text says why."""


def plain(text: str) -> Scalar:
    """The value of an unquoted, untagged scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    return _number(text)


def tagged(text: str, tag: str) -> Scalar:
    """The value of a scalar with an explicit tag. Unknown tags leave a string, as kubectl does. Raises WrongScalar."""
    if tag == BINARY:
        return _binary(text)
    if tag not in (INT, FLOAT, BOOL, NULL):
        return text
    value = plain(text)
    fits = {
        INT: isinstance(value, int) and not isinstance(value, bool),
        FLOAT: isinstance(value, (int, float)) and not isinstance(value, bool),
        BOOL: isinstance(value, bool),
        NULL: value is None,
    }[tag]
    if not fits:
        raise WrongScalar(f"the value does not fit its tag !!{tag.rpartition(':')[2]}")
    return value


def as_json(value: Scalar) -> Scalar:
    """The value as it survives kubectl's way through JSON: whole floats are integers, integers past 64 bits are floats.

    Raises WrongScalar for what JSON cannot hold.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise WrongScalar("infinity and not-a-number have no JSON form; quote it if it is a text")
        return int(value) if value.is_integer() and abs(value) < _INT64 else value
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        try:
            return float(value)
        except OverflowError:
            raise WrongScalar("the number is too large") from None
    return value


def key(value: Scalar) -> str:
    """A mapping key as JSON text. Raises WrongScalar for null."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return str(value)
    if isinstance(value, float):
        return _float_key(value)
    raise WrongScalar("a key must be a text; quote it")


def _number(text: str) -> Scalar:
    digits = text.replace("_", "")
    if (match := _INTEGER.match(digits)) and text[0] != ".":
        base = match.lastgroup or "d"
        figures = match[base].lstrip("0") or "0"
        # More figures than 64 bits have in any base: reading them would take the square of their number.
        if len(figures) <= _MOST_FIGURES:
            value = int(figures, _BASES[base])
            if match["sign"] == "-":
                value = -value
            if -_INT64 <= value < 2 * _INT64:
                return value
    candidate = text if text[0] == "." else digits
    if _FLOAT.match(candidate) and math.isfinite(number := float(candidate)):
        return number
    return text


def _binary(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise WrongScalar("a !!binary value must be base64 of UTF-8 text") from error


def _float_key(value: float) -> str:
    """Go's ``FormatFloat(value, 'g', -1, 32)``: the shortest text that gives the same 32-bit float."""
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    if math.isnan(value):
        return ".nan"
    single = _single(value)
    precision = next(p for p in range(1, 18) if _single(float(f"{value:.{p}g}")) == single)
    mantissa, _, exponent = f"{value:.{precision - 1}e}".partition("e")
    if -4 <= int(exponent) < 6:
        return f"{float(f'{value:.{precision}g}'):.{max(precision - 1 - int(exponent), 0)}f}"
    return f"{mantissa}e{exponent}"


def _single(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)
