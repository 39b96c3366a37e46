"""The hash in a pod template: what changes it, what does not, and that it tells nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from moorage.api.contracts import AdmissionRequest, Identity
from moorage.resources.apps import DEPLOYMENT
from moorage.resources.core.configmaps import CONFIG_MAP
from moorage.resources.core.secrets import SECRET
from moorage.resources.kind import Kind
from moorage.resources.rollout import ANNOTATION, HASH
from moorage.store.contracts import Entry, Key
from moorage_tenants.secret_service.rollout import RolloutHashes
from tests.unit.tenants.caches import MemoryEntry

CANARY = "canary-of-rollouts"


class Objects:
    """A view of some objects."""

    def __init__(self) -> None:
        self.entries_: dict[tuple[str, str, str], Entry] = {}

    def put(self, kind: Kind, name: str, /, labels: dict[str, str] | None = None, **fields: Any) -> None:
        document = {"metadata": {"name": name, "namespace": "blue", "labels": labels or {}}, **fields}
        key = Key(kind.group, kind.plural, "blue", name)
        self.entries_[kind.plural, "blue", name] = MemoryEntry(key, "uid", 1, orjson.dumps(document))

    async def get(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        return self.entries_.get((kind.plural, namespace, name))

    async def entries(self, kind: Kind, namespace: str | None) -> Sequence[Entry]:
        raise AssertionError("nothing is listed")


def workload(watches: str | None = "true") -> dict[str, Any]:
    environment = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    container = {"name": "a", "env": environment, "envFrom": [{"configMapRef": {"name": "settings"}}]}
    return {
        "metadata": {"name": "web", "annotations": {} if watches is None else {ANNOTATION: watches}},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}},
    }


async def stamped(
    objects: Objects,
    document: dict[str, Any] | None = None,
    *,
    key: bytes = b"k" * 32,
    namespace: str = "blue",
    subresource: str = "",
) -> str | None:
    """The hash that a write puts into the template."""

    async def made() -> bytes:
        return key

    written = workload() if document is None else document
    request = AdmissionRequest(
        Identity("u"), "UPDATE", DEPLOYMENT, subresource, namespace, "web", written, None, False, objects
    )
    admission = RolloutHashes(made)
    await admission.mutate(request)
    assert await admission.validate(request) == ()
    metadata = written["spec"]["template"]["metadata"]
    assert metadata["labels"] == {"app": "web"}
    found: str | None = (metadata.get("annotations") or {}).get(HASH)
    return found


@pytest.fixture
def objects() -> Objects:
    made = Objects()
    made.put(SECRET, "db", data={"password": base64.b64encode(CANARY.encode()).decode(), "other": "eA=="})
    made.put(CONFIG_MAP, "settings", data={"a": "1", "b": "2"})
    return made


async def test_the_same_values_give_the_same_hash(objects: Objects) -> None:
    first = await stamped(objects)
    assert first is not None
    assert re.fullmatch("[0-9a-f]{32}", first)
    # Labels, the order of keys and keys that nothing refers to are no change.
    objects.put(
        SECRET, "db", {"x": "y"}, data={"other": "eHg=", "password": base64.b64encode(CANARY.encode()).decode()}
    )
    objects.put(CONFIG_MAP, "settings", {"x": "y"}, data={"b": "2", "a": "1"})
    assert await stamped(objects) == first


async def test_every_change_of_a_value_gives_another(objects: Objects) -> None:
    seen = {await stamped(objects)}
    changes: tuple[Callable[[], None], ...] = (
        lambda: objects.put(SECRET, "db", data={"password": "bmV3"}),
        lambda: objects.put(SECRET, "db", data={"other": "eA=="}),
        lambda: objects.put(CONFIG_MAP, "settings", data={"a": "1"}),
        lambda: objects.put(CONFIG_MAP, "settings", data={"a": "1"}, binaryData={"b": "eA=="}),
        lambda: objects.entries_.clear(),
    )
    for change in changes:
        change()
        seen.add(await stamped(objects))
    assert len(seen) == 6


async def test_it_is_keyed_and_of_one_namespace(objects: Objects) -> None:
    first = await stamped(objects)
    assert await stamped(objects, key=b"another" * 5) != first
    for (plural, _, name), entry in list(objects.entries_.items()):
        objects.entries_[plural, "green", name] = entry
    assert await stamped(objects, namespace="green") != first


async def test_only_what_is_asked_for(objects: Objects) -> None:
    of_secrets = await stamped(objects, workload("secrets"))
    objects.put(CONFIG_MAP, "settings", data={"a": "changed"})
    assert await stamped(objects, workload("secrets")) == of_secrets
    assert await stamped(objects, workload(None)) is None
    assert await stamped(objects, workload("false")) is None
    assert await stamped(objects, subresource="status") is None


async def test_a_hash_stays_where_nothing_is_watched_any_more(objects: Objects) -> None:
    document = workload(None)
    document["spec"]["template"]["metadata"]["annotations"] = {HASH: "old", "mine": "x"}
    assert await stamped(objects, document) == "old"
    document = workload("true")
    document["spec"]["template"]["metadata"]["annotations"] = {HASH: "forged", "mine": "x"}
    assert await stamped(objects, document) not in (None, "forged")
    assert document["spec"]["template"]["metadata"]["annotations"]["mine"] == "x"
