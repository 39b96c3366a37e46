"""Small rules that many kinds share. Each appends to ``errors`` what is wrong and returns nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from moorage.resources import names
from moorage.resources.field_errors import invalid, not_supported, required
from moorage.resources.kind import FieldError

Errors = list[FieldError]
PROTOCOLS = ("SCTP", "TCP", "UDP")
PORT_RANGE = "must be between 1 and 65535, inclusive"
ID_RANGE = "must be between 0 and 2147483647, inclusive"
LARGEST_INT32 = 2**31 - 1


def check_name(errors: Errors, path: str, value: str, rule: Callable[[str], str | None]) -> None:
    """``value`` keeps ``rule``."""
    if problem := rule(value):
        errors.append(invalid(path, value, problem))


def check_required_name(errors: Errors, path: str, value: str, rule: Callable[[str], str | None]) -> None:
    """``value`` is there and keeps ``rule``."""
    if not value:
        errors.append(required(path))
    elif problem := rule(value):
        errors.append(invalid(path, value, problem))


def check_choice(errors: Errors, path: str, value: Any, choices: Iterable[str]) -> None:
    """``value`` is given and one of ``choices``."""
    if not value:
        errors.append(required(path))
    elif value not in choices:
        errors.append(not_supported(path, value, choices))


def check_port_number(errors: Errors, path: str, value: int) -> None:
    """A port from 1 to 65535."""
    if not 1 <= value <= 65535:
        errors.append(invalid(path, value, PORT_RANGE))


def check_port(errors: Errors, path: str, value: int | str) -> None:
    """A port by number or by name."""
    if isinstance(value, int):
        check_port_number(errors, path, value)
    else:
        errors.extend(invalid(path, value, problem) for problem in names.port_name(value))


def check_id(errors: Errors, path: str, value: int | None) -> None:
    """A numeric user or group id, where one is given."""
    if value is not None and not 0 <= value <= LARGEST_INT32:
        errors.append(invalid(path, value, ID_RANGE))


def check_local_path(errors: Errors, path: str, value: str) -> None:
    """A relative path that stays below where it starts."""
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    check_no_backsteps(errors, path, value)


def check_no_backsteps(errors: Errors, path: str, value: str) -> None:
    """No ``..`` step."""
    if ".." in value.split("/"):
        errors.append(invalid(path, value, "must not contain '..'"))
