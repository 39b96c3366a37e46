"""Quotas that are exceeded, in words."""

from __future__ import annotations

from moorage.api.writing.quotas import sentence
from moorage.store.contracts import Exceeded


def test_every_resource_of_a_quota_is_named() -> None:
    rows = [
        Exceeded("quota/shop/most", "requests.cpu", 500, 1500, 1000),
        Exceeded("quota/shop/most", "pods", 1024, 1, 1024),
        Exceeded("quota/shop/most", "requests.memory", 0, 2 * 1024**3, 1024**3),
    ]
    assert sentence(rows) == (
        "exceeded quota: most, requested: pods=1,requests.cpu=1500m,requests.memory=2Gi, "
        "used: pods=1024,requests.cpu=500m,requests.memory=0, "
        "limited: pods=1024,requests.cpu=1,requests.memory=1Gi"
    )


def test_every_quota_is_named_and_a_tenants_says_so() -> None:
    rows = [
        Exceeded("tenant/acme", "requests.example.com/gpu", 2048, 1024, 2048),
        Exceeded("quota/shop/b", "pods", 1, 1, 1),
        Exceeded("quota/shop/a", "pods", 2, 1, 2),
    ]
    assert sentence(rows) == (
        "exceeded quota: a, requested: pods=1, used: pods=2, limited: pods=2; "
        "exceeded quota: b, requested: pods=1, used: pods=1, limited: pods=1; "
        'exceeded quota of tenant "acme": requested: requests.example.com/gpu=1024, '
        "used: requests.example.com/gpu=2048, limited: requests.example.com/gpu=2048"
    )
