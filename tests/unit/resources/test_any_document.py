"""Whatever has the right types is judged, never stumbled over: random documents of every kind, made from its schema."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.resources import schemas
from moorage.resources.autoscaling import SCALE
from moorage.resources.builtin import BUILTIN
from moorage.resources.core.pods.amounts import pod_amounts
from moorage.resources.core.pods.declaration import BINDING
from moorage.resources.kind import Document, Kind
from moorage.resources.schemas import compiled
from moorage.resources.schemas.decoding import _compiler
from tests.unit.resources.documents import NOW

TEXTS = (
    "",
    "a",
    "A_b",
    "a.b/c",
    "Always",
    "None",
    "ClientIP",
    "LoadBalancer",
    "In",
    "10.0.0.1",
    "..",
    "50%",
    "é",
    "x" * 70,
)
NUMBERS = (-1, 0, 1, 80, 70_000, 2**31 - 1)
AMOUNTS = ("0", "-1", "1500m", "1Gi", "100n", 2, 0.5)
TIMES = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+01:00")
WORDS = {
    "Bool": (True, False),
    "Integer": NUMBERS,
    "Number": (0, 1.5),
    "IntOrText": (*NUMBERS, "http", "25%"),
    "Text": TEXTS,
    "Bytes": ("", "YWJj"),
    "Any_": (None, {"a": 1}, [1]),
}
DEEP = 9


def sample(walker: compiled.Walker, random: Random, depth: int = 0) -> Any:
    """A random value that ``walker`` decodes."""
    if isinstance(walker, compiled.Struct):
        return sample_struct(walker, random, depth)
    if isinstance(walker, compiled.List):
        return [sample(walker.items, random, depth + 1) for _ in range(random.randint(0, 2))]
    if isinstance(walker, compiled.Map):
        keys = random.sample(("cpu", "memory", "example.com/gpu", "a", "B/", ""), random.randint(0, 3))
        return {key: sample(walker.values, random, depth + 1) for key in keys}
    if isinstance(walker, compiled.Rendered):
        return random.choice(AMOUNTS if walker.accepts_numbers else TIMES)
    return random.choice(WORDS[type(walker).__name__])


def sample_struct(walker: compiled.Struct, random: Random, depth: int) -> Document:
    """Some of the fields; near the top all that matter, further down fewer."""
    chance = 0.9 if depth < 2 else 0.35 if depth < DEEP else 0.0
    return {name: sample(child, random, depth + 1) for name, child in walker.fields.items() if random.random() < chance}


def taken(of: Kind, random: Random) -> Document:
    """A random document of a kind, decoded, defaulted and prepared as a create does."""
    document: Document = sample(_compiler().walker(of.schema), random)
    document.setdefault("metadata", {})
    found = schemas.normalise(of, document)
    assert not found.errors
    of.default(document)
    of.prepare_create(document)
    return document


@pytest.mark.parametrize("of", [*BUILTIN, BINDING, SCALE], ids=lambda of: f"{of.group}/{of.plural}")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_every_function_answers(of: Kind, seed: int) -> None:
    random = Random(seed)
    new, old = taken(of, random), taken(of, random)
    again = deepcopy(new)
    of.default(again)
    assert again == new
    for error in (*of.validate(new), *of.validate_update(new, old), *of.validate_status_update(new, old)):
        assert error.path
        assert error.message
    of.prepare_update(new, old)
    for column in of.columns:
        column.cell(new, NOW)
    assert all(isinstance(value, str) for value in of.fields(new).values())
    if of.grace_seconds is not None:
        assert of.grace_seconds(new, None) >= 0
        pod_amounts(new.get("spec") or {})
