"""Configuration files of a server: read whole, each field asked for by name and type, and what nobody knows refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


class BadConfiguration(ValueError):
    """The configuration cannot be used; the text names the field and says what would be right."""


def read_yaml(path: Path) -> object:
    """The document of a file. Raises BadConfiguration."""
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise BadConfiguration(f"{path}: is not YAML: {error}") from None


class Fields:
    """An object of the configuration, whose fields are asked for by name and type."""

    def __init__(self, value: object, path: str, known: set[str]) -> None:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise BadConfiguration(f"{path or 'the document'}: must be an object")
        unknown = sorted(str(name) for name in value if name not in known)
        if unknown:
            raise BadConfiguration(
                f"{path + '.' if path else ''}{unknown[0]}: is not known here; one of {', '.join(sorted(known))}"
            )
        self.path = path
        self._value: Mapping[str, Any] = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def get(self, name: str, absent: Any = None) -> Any:
        """A field as it is."""
        return self._value.get(name, absent)

    def text(self, name: str) -> str:
        """A text, "" where it is missing."""
        value = self._value.get(name)
        if value is not None and not isinstance(value, str):
            raise BadConfiguration(f"{self._at(name)}: must be a text")
        return value or ""

    def list(self, name: str) -> Sequence[Any]:
        """A list, empty where it is missing."""
        value = self._value.get(name)
        if value is not None and not isinstance(value, list):
            raise BadConfiguration(f"{self._at(name)}: must be a list")
        return value or ()

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = tuple(self.list(name))
        if not all(isinstance(value, str) and value for value in values):
            raise BadConfiguration(f"{self._at(name)}: must be a list of texts")
        return values

    def fields(self, name: str, known: set[str]) -> Fields:
        """An object, empty where it is missing."""
        return Fields(self._value.get(name), self._at(name), known)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
