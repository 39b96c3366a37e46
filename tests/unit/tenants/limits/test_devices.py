"""Administrators' access to devices: only in namespaces that are marked for it."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Document
from moorage.resources.tenancy_rules import is_platform_key
from moorage_tenants.limits.devices import LABEL, Devices
from tests.unit.tenants.limits.asking import World, admitted, asked, kind

GROUP = "resource.k8s.io"
CLAIM, TEMPLATE = kind("ResourceClaim", GROUP), kind("ResourceClaimTemplate", GROUP)
REFUSED = f"Forbidden: admin access to devices requires the `{LABEL}: true` label on the containing namespace"


def namespace(**labels: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}


def document(of: str, spec: Document, **status: Any) -> Document:
    metadata = {"namespace": "shop", "name": "gpu"}
    return {"apiVersion": f"{GROUP}/v1", "kind": of, "metadata": metadata, "spec": spec, "status": status}


def wanted(admin: bool) -> Document:
    exactly = {"deviceClassName": "gpus", **({"adminAccess": True} if admin else {})}
    return {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}


@pytest.mark.parametrize(
    ("labels", "admin", "allowed"),
    [({}, False, True), ({}, True, False), ({LABEL: "yes"}, True, False), ({LABEL: "true"}, True, True)],
)
async def test_claims_and_templates(labels: dict[str, str], admin: bool, allowed: bool) -> None:
    world = World(namespace(**labels))
    claim, template = (
        document("ResourceClaim", wanted(admin)),
        document("ResourceClaimTemplate", {"spec": wanted(admin)}),
    )
    found = await admitted(Devices(), asked(world, CLAIM, claim))
    assert found == ([] if allowed else [f"spec.devices.requests[0].adminAccess: {REFUSED}"])
    found = await admitted(Devices(), asked(world, TEMPLATE, template))
    assert found == ([] if allowed else [f"spec.spec.devices.requests[0].adminAccess: {REFUSED}"])
    assert await admitted(Devices(), asked(world, CLAIM, claim, claim)) == []


async def test_devices_that_a_claim_is_given() -> None:
    result = {"request": "gpu", "driver": "x.example.com", "pool": "p", "device": "d", "adminAccess": True}
    before = document("ResourceClaim", wanted(True))
    after = document("ResourceClaim", wanted(True), allocation={"devices": {"results": [result]}})
    found = await admitted(Devices(), asked(World(namespace()), CLAIM, after, before, subresource="status"))
    assert found == [f"status.allocation.devices.results[0].adminAccess: {REFUSED}"]
    assert await admitted(Devices(), asked(World(namespace()), CLAIM, after, after, subresource="status")) == []


def test_tenants_do_not_mark_their_own_namespaces() -> None:
    assert is_platform_key(LABEL)
