"""``componentstatuses``: parts that are silent, or were never heard of, are told of."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from moorage.api.service import Service
from moorage.api.verbs import components
from moorage.client.objects import timestamp
from moorage.resources.core.component_statuses import COMPONENT_STATUS
from moorage.store.contracts import Unavailable


class _Entry:
    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec

    def document(self) -> dict[str, Any]:
        return {"spec": self._spec}


class _Store:
    """A store with one lease, or one that does not answer."""

    revision = 0

    def __init__(self, spec: dict[str, Any] | None, failure: Exception | None = None) -> None:
        self._spec, self._failure = spec, failure

    async def cache(self, _resource: object) -> _Store:
        return self

    async def latest(self) -> int:
        if self._failure is not None:
            raise self._failure
        return 0

    def get(self, *_key: str) -> _Entry | None:
        return None if self._spec is None else _Entry(self._spec)


class _Service:
    def __init__(self, store: _Store) -> None:
        self.store = store


def _lease(ago: float, holder: str = "one") -> dict[str, Any]:
    return {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": timestamp(time.time() - ago)}


async def _row(name: str, store: _Store) -> list[Any]:
    document = await components._component(cast(Service, _Service(store)), name)
    return [column.cell(document, 0.0) for column in COMPONENT_STATUS.columns]


async def test_parts_that_are_heard_of_are_well() -> None:
    for name in ("scheduler", "controller-manager", "etcd-0"):
        assert await _row(name, _Store(_lease(1))) == [name, "Healthy", "ok", ""]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (None, "nobody holds their lease: they do not run"),
        (_lease(1, ""), "nobody holds their lease: they do not run"),
        (_lease(1_000_000), "they were last heard of 1"),
    ],
)
async def test_parts_that_are_silent_are_told_of(spec: dict[str, Any] | None, words: str) -> None:
    name, status, message, error = await _row("scheduler", _Store(spec))
    assert (name, status, message) == ("scheduler", "Unhealthy", "")
    assert error.startswith(words)


async def test_a_store_that_does_not_answer_is_told_of() -> None:
    row = await _row("etcd-0", _Store(None, Unavailable("gone")))
    assert row[:3] == ["etcd-0", "Unhealthy", ""]
    assert "PostgreSQL does not answer: gone" in row[3]
