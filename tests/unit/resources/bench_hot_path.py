"""Prints what decoding, defaulting and checking cost, in microseconds: ``python -m tests.unit.resources.bench_hot_path``."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from moorage.resources import schemas
from tests.unit.resources.documents import kind, plain, workload

ROUNDS = 20_000
POD = plain(
    "Pod",
    spec={
        "containers": [
            {
                "name": "c",
                "image": "busybox:local",
                "command": ["sleep", "3600"],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                "env": [{"name": "A", "value": "b"}],
            }
        ]
    },
)


def _timed(label: str, step: Callable[[Any], object], documents: list[Any]) -> float:
    begin = time.perf_counter()
    for document in documents:
        step(document)
    spent = (time.perf_counter() - begin) / len(documents) * 1e6
    print(f"  {label:<20}{spent:8.2f} us")
    return spent


def main() -> None:
    """Measure a create of a small Pod and of a small Deployment, step by step."""
    for of, document in ((kind("Pod"), POD), (kind("Deployment", "apps"), workload("Deployment"))):
        decode = partial(schemas.normalise, of)
        schemas.warm([of])
        body = orjson.dumps(document)
        documents = [orjson.loads(body) for _ in range(ROUNDS)]
        print(of.kind)
        total = _timed("decode", decode, documents)
        total += _timed("default", of.default, documents)
        total += _timed("prepare", of.prepare_create, documents)
        total += _timed("rules", of.validate, documents)
        print(f"  {'together':<20}{total:8.2f} us")
        _timed("decode what is kept", decode, documents)


if __name__ == "__main__":
    main()
