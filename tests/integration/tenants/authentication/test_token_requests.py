"""Which tokens a node may ask for: of the accounts of its own pods, bound to those pods, for audiences that they name."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moorage_agent.joining import Credential, given_by, over_the_api
from tests.support.installation import Installation
from tests.support.rest import Answer, Document, Rest

TOKENS = "/apis/moorage.io/v1/tokens"


@dataclass
class Place:
    """A namespace with pods that are bound to nodes without agents, and the API as one of these nodes."""

    admin: Rest
    node: Rest
    name: str
    core: str

    def pod(self, name: str, node: str, account: str, **volume: Any) -> Document:
        """A pod bound to ``node``."""
        container = {"name": "c", "image": "none.local/c:1"}
        spec: Document = {"nodeName": node, "serviceAccountName": account, "containers": [container]}
        if volume:
            spec["volumes"] = [{"name": "v", "projected": {"sources": [{"serviceAccountToken": volume}]}}]
        return self.admin.create(f"{self.core}/pods", {"metadata": {"name": name}, "spec": spec})

    def ask(self, account: str, bound: Document | None, by: Rest | None = None, **spec: Any) -> Answer:
        """Ask for a token of ``account``, bound to this object."""
        body = {"spec": {"audiences": [], **spec, **({"boundObjectRef": bound} if bound else {})}}
        return (by or self.node).request("POST", f"{self.core}/serviceaccounts/{account}/token", body)


def to(pod: Document, **changes: str) -> Document:
    """A reference to a pod."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"], **changes}


@pytest.fixture
async def place(installation: Installation, tmp_path: Path) -> Place:
    admin, suffix = Rest(installation), secrets.token_hex(4)
    name = f"asks-{suffix}"
    join = admin.create(TOKENS, {"spec": {"node": name}})["status"]["token"]
    ca = (installation.data_dir / "pki" / "ca.crt").read_text()
    file = await Credential(tmp_path, given_by(None, join), over_the_api(installation.url, ca)).obtain()
    assert file is not None
    core = f"/api/v1/namespaces/{name}"
    admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    for account in ("robot", "other"):
        admin.create(f"{core}/serviceaccounts", {"metadata": {"name": account}})
    return Place(admin, Rest(installation, file.read_text()), name, core)


@pytest.fixture(autouse=True)
def tidy(place: Place) -> Iterator[None]:
    """Pods of nodes without agents end at once only where somebody says so."""
    yield
    place.admin.delete(f"{place.core}/pods", {"gracePeriodSeconds": 0})
    place.admin.delete(f"/api/v1/namespaces/{place.name}")
    for each in (place.admin, place.node):
        each.close()


async def test_a_node_asks_for_its_pods(place: Place) -> None:
    mine = place.pod("mine", place.name, "robot", path="token", audience="vault")
    made = place.ask("robot", to(mine), expirationSeconds=3607)
    assert made.code == 201, made.text
    assert made.document["status"]["token"]
    assert place.ask("robot", to(mine), audiences=["vault"]).code == 201
    assert 'audience "bank" not found in pod spec volume' in place.ask("robot", to(mine), audiences=["bank"]).refused(
        403
    )
    assert "node requested token not bound to a pod" in place.ask("robot", None).refused(403)
    note = {"kind": "Secret", "apiVersion": "v1", "name": "note"}
    assert "node requested token not bound to a pod" in place.ask("robot", note).refused(403)
    assert "pod binding without a uid" in place.ask("robot", to(mine, uid="")).refused(403)
    assert "does not match the UID in record" in place.ask("robot", to(mine, uid="gone")).refused(409)
    assert "no relationship found between node" in place.ask("other", to(mine)).refused(403)


async def test_a_node_asks_for_no_other_pods(place: Place) -> None:
    """Not even for an account that a pod of its own has, too."""
    place.pod("mine", place.name, "robot")
    theirs = place.pod("theirs", f"{place.name}-neighbour", "robot")
    hidden = place.pod("hidden", f"{place.name}-neighbour", "other")
    assert "bound to a pod scheduled on a different node" in place.ask("robot", to(theirs)).refused(403)
    assert "no relationship found between node" in place.ask("other", to(hidden)).refused(403)


async def test_a_token_is_bound_to_what_is_there_and_fits(place: Place) -> None:
    """Whoever asks: the pod is the account's, the object exists, the kind is one that tokens can be bound to."""
    mine = place.pod("mine", place.name, "robot")
    wrong = place.ask("other", to(mine), place.admin).refused(400)
    assert 'cannot bind token for serviceaccount "other" to pod running with different serviceaccount name' in wrong
    assert "not found" in place.ask("robot", to(mine, name="gone"), place.admin).refused(404)
    kind = place.ask("robot", to(mine, kind="ConfigMap"), place.admin).refused(400)
    assert "cannot bind token to object of type v1, Kind=ConfigMap" in kind
    assert "not found" in place.ask("nobody", to(mine), place.admin).refused(404)
