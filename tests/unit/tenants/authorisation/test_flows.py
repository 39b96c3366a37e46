"""A request is on the account of whoever asks, never of whom it is aimed at."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from moorage.api.contracts import Identity
from moorage.resources.tenancy import TENANT_LABEL
from moorage.store.contracts import Encoded, Key
from moorage_tenants.authorisation.flows import TenantFlows
from moorage_tenants.authorisation.tenancies import TenantBook


class StoredObject:
    """An entry as the caches hold them."""

    def __init__(self, key: Key, document: dict[str, Any]) -> None:
        self.key = key
        self.uid = ""
        self.revision = 1
        self.data = Encoded(orjson.dumps(document), 0).body

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.document()["metadata"].get("labels") or {}
        return labels

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.data)
        return document


def tenant(book: TenantBook, name: str, owner: str, *members: str) -> None:
    spec = {
        "owners": [{"kind": "User", "name": owner}],
        "members": [{"kind": "Group", "name": each, "role": "view"} for each in members],
    }
    key = Key("tenancy.moorage.io", "tenants", "", name)
    book.put(StoredObject(key, {"metadata": {"name": name}, "spec": spec}))
    labels = {TENANT_LABEL: name}
    space = {"metadata": {"name": f"{name}-web", "labels": labels}}
    book.put_namespace(StoredObject(Key("", "namespaces", "", f"{name}-web"), space))


@pytest.fixture
def book() -> TenantBook:
    made = TenantBook()
    tenant(made, "shop", "anna", "testers")
    tenant(made, "bank", "bert", "testers")
    return made


@pytest.mark.parametrize(
    ("identity", "namespace", "flow"),
    [
        (Identity("anna"), "shop-web", "shop"),
        (Identity("anna"), "", "shop"),
        (Identity("anna"), "bank-web", "shop"),
        (Identity("eve"), "shop-web", ""),
        (Identity("tim", frozenset({"testers"})), "shop-web", "shop"),
        (Identity("tim", frozenset({"testers"})), "bank-web", "bank"),
        (Identity("tim", frozenset({"testers"})), "", ""),
        (Identity("system:serviceaccount:shop-web:ci"), "bank-web", "shop"),
        (Identity("system:serviceaccount:default:ci"), "bank-web", ""),
    ],
)
def test_the_flow_is_the_askers(book: TenantBook, identity: Identity, namespace: str, flow: str) -> None:
    assert TenantFlows(book).flow_of(identity, namespace) == flow


def test_a_change_of_members_is_noticed(book: TenantBook) -> None:
    flows = TenantFlows(book)
    before = flows.generation
    tenant(book, "shop", "eve")
    assert flows.generation > before
    assert flows.flow_of(Identity("eve"), "shop-web") == "shop"
