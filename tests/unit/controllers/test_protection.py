"""What keeps claims and volumes, and what lets them go."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.client.resource import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from moorage.controllers.protection.decide import claims_of, is_bound, release, waits

CLAIM = "kubernetes.io/pvc-protection"
GOING = "2026-01-01T00:00:00Z"


def pod(**spec: Any) -> dict[str, Any]:
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "db"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "tmp", "emptyDir": {}},
    ]
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"volumes": volumes, **spec}}


def test_claims_of_a_pod() -> None:
    assert list(claims_of(pod(nodeName="n1"))) == ["db", "web-scratch"]
    assert list(claims_of(pod())) == []


def test_a_claim_of_its_own_is_free_when_the_node_is_done_with_the_pod() -> None:
    ended = pod(nodeName="n1")
    ended["metadata"].update(deletionTimestamp=GOING, deletionGracePeriodSeconds=30)
    assert list(claims_of(ended)) == ["db", "web-scratch"]
    ended["metadata"]["deletionGracePeriodSeconds"] = 0
    assert list(claims_of(ended)) == ["db"]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"finalizers": [CLAIM]}, False),
        ({"deletionTimestamp": GOING}, False),
        ({"deletionTimestamp": GOING, "finalizers": ["other"]}, False),
        ({"deletionTimestamp": GOING, "finalizers": ["other", CLAIM]}, True),
    ],
)
def test_who_waits(metadata: dict[str, Any], found: bool) -> None:
    assert waits(PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata}) is found


def test_a_release_leaves_the_finalizers_of_others() -> None:
    metadata = {"name": "db", "namespace": "shop", "uid": "u", "resourceVersion": "7", "finalizers": ["other", CLAIM]}
    assert release(PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata})["patch"]["metadata"] == {
        "uid": "u",
        "resourceVersion": "7",
        "finalizers": ["other"],
    }


def test_a_bound_volume_stays() -> None:
    assert is_bound({"status": {"phase": "Bound"}})
    assert not is_bound({"status": {"phase": "Released"}})
    volume = {"metadata": {"deletionTimestamp": GOING, "finalizers": ["kubernetes.io/pv-protection"]}}
    assert waits(PERSISTENT_VOLUMES, volume)
