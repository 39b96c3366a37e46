"""The YAML loader: yields what kubectl yields, keeps the line of every field, refuses duplicate keys, bombs and odd bytes.

It consumes libyaml's events one by one instead of composing nodes, so that depth and expansion are bounded while parsing:
neither a deep document (the C stack) nor an alias bomb (memory) gets further than its limit. No tag constructs anything
but plain values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from moorage_gitops.host.manifests import scalars
from moorage_gitops.host.manifests.limits import Budget, ManifestError, ManifestLimits, Parsed
from moorage_gitops.host.manifests.places import Places

_MERGE_TAG = "tag:yaml.org,2002:merge"


def load(data: bytes, limits: ManifestLimits) -> list[Parsed]:
    """The documents of a YAML file (UTF-8, no byte order mark); empty documents are left out. Raises ManifestError."""
    budget = Budget(limits)
    documents: list[Parsed] = []
    builder: _Builder | None = None
    for event in _events(data):
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder(budget)
        elif isinstance(event, yaml.DocumentEndEvent) and builder is not None:
            if builder.result is not None:
                documents.append(Parsed(builder.result, builder.places))
            builder = None
        elif builder is not None:
            builder.take(event)
    return documents


def _events(data: bytes) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(data, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # Without PyYAML's excerpt: the file may hold a Secret.
        text = ", ".join(part for part in (error.context, error.problem) if part)
        raise ManifestError(f"not valid YAML: {text}", mark.line + 1 if mark else 0) from None
    except yaml.reader.ReaderError as error:
        line = data.count(b"\n", 0, error.position) + 1
        raise ManifestError(f"not valid YAML: {error.reason}", line) from None


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being filled. ``key`` is the mapping's key that waits for its value."""

    container: dict[str, Any] | list[Any]
    lines: dict[str | int, int]
    anchor: str | None
    line: int
    key: str | None = None
    key_line: int = 0
    merging: bool = False
    explicit: set[str] = field(default_factory=set)


class _Builder:
    """Builds the value of one document from its events."""

    def __init__(self, budget: Budget) -> None:
        self.result: Any = None
        self.places = Places(first=0)
        self._budget = budget
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Any] = {}
        self._open_anchors: set[str] = set()

    def take(self, event: yaml.Event) -> None:
        """Take the next event of the document."""
        mark = event.start_mark
        line = mark.line + 1 if mark else 0
        if not self.places.first:
            self.places.first = line
        if isinstance(event, yaml.ScalarEvent):
            self._budget.spend(1, len(event.value), line)
            self._scalar(event, line)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._budget.spend(1, 0, line)
            self._open(event, line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        value = _scalar_value(event, line)
        if event.anchor:
            self._anchors[event.anchor] = value
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None and not frame.merging:
            self._key(frame, event, value, line)
        else:
            self._put(_json(value, line), line)

    def _key(self, frame: _Frame, event: yaml.ScalarEvent, value: scalars.Scalar, line: int) -> None:
        if event.value == "<<" and (event.tag == _MERGE_TAG or (event.tag is None and event.implicit[0])):
            frame.merging = True
            return
        try:
            key = scalars.key(value)
        except scalars.WrongScalar as error:
            raise ManifestError(str(error), line) from None
        if key in frame.explicit:
            first = frame.lines[key]
            raise ManifestError(f'duplicate key "{key}" (first on line {first}); keep one', line)
        frame.explicit.add(key)
        frame.key, frame.key_line = key, line

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        self._budget.check_depth(len(self._stack) + 1, line)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None and not frame.merging:
            raise ManifestError(
                "a key must be a text, not a mapping or list; a template expression may need quotes", line
            )
        if event.anchor:
            self._open_anchors.add(event.anchor)
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Frame(container, {}, event.anchor, line))

    def _close(self) -> None:
        frame = self._stack.pop()
        self.places.add(frame.container, frame.lines)
        if frame.anchor:
            self._open_anchors.discard(frame.anchor)
            self._anchors[frame.anchor] = frame.container
        self._put(frame.container, frame.line)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        name = event.anchor
        if name in self._open_anchors:
            raise ManifestError(f"alias *{name} stands inside what it names", line)
        if name not in self._anchors:
            raise ManifestError(f"unknown alias *{name}; no &{name} stands before it", line)
        value = self._anchors[name]
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None and not frame.merging:
            raise ManifestError("an alias cannot be a key", line)
        self._put(self._copy(value, line, len(self._stack)), line)

    def _copy(self, value: Any, line: int, depth: int) -> Any:
        """A copy of an anchored value: the same object in two places would be changed in both. Its fields keep their lines."""
        self._budget.check_depth(depth, line)
        if isinstance(value, (dict, list)):
            self._budget.spend(1 + len(value), 0, line)
            copied: Any
            if isinstance(value, dict):
                copied = {key: self._copy(item, line, depth + 1) for key, item in value.items()}
            else:
                copied = [self._copy(item, line, depth + 1) for item in value]
            self.places.add(copied, self.places.of(value))
            return copied
        self._budget.spend(1, len(value) if isinstance(value, str) else 0, line)
        return _json(value, line)

    def _put(self, value: Any, line: int) -> None:
        if not self._stack:
            self.result = value
            return
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            frame.lines[len(frame.container)] = line
            frame.container.append(value)
        elif frame.merging:
            frame.merging = False
            self._merge(frame, frame.container, value, line)
        else:
            assert frame.key is not None
            frame.container[frame.key] = value
            frame.lines[frame.key] = frame.key_line
            frame.key = None

    def _merge(self, frame: _Frame, into: dict[str, Any], value: Any, line: int) -> None:
        """``<<``: as in kubectl, keys already there are replaced and later ones replace; in a list the first mapping wins."""
        sources = value if isinstance(value, list) else [value]
        for source in reversed(sources):
            if not isinstance(source, dict):
                raise ManifestError("<< takes a mapping or a list of mappings", line)
            lines = self.places.of(source)
            for key, item in source.items():
                into[key] = item
                frame.lines[key] = lines.get(key, line)


def _scalar_value(event: yaml.ScalarEvent, line: int) -> scalars.Scalar:
    text = event.value
    if "\0" in text:
        raise ManifestError("the character U+0000 cannot be stored", line)
    if event.tag == "!" or (event.tag is None and not event.implicit[0]):
        return text
    try:
        return scalars.plain(text) if event.tag is None else scalars.tagged(text, event.tag)
    except scalars.WrongScalar as error:
        raise ManifestError(str(error), line) from None


def _json(value: Any, line: int) -> Any:
    try:
        return scalars.as_json(value)
    except scalars.WrongScalar as error:
        raise ManifestError(str(error), line) from None
