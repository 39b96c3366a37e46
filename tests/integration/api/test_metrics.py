"""``/metrics``: for who may read it, in Prometheus' text format, with names that clients cannot make up."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from moorage.api.config import ApiConfig
from moorage.store import PostgresStore
from tests.integration.api.documents import CONFIGMAPS, configmap, create
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates

SAMPLE = re.compile(r'([a-z_]+)(\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? (-?[0-9.e+]+)')
SUFFIXES = ("_bucket", "_sum", "_count")


async def measured(config: ApiConfig) -> ApiConfig:
    """``config`` with the store's metrics."""
    assert isinstance(config.store, PostgresStore)
    return replace(config, metrics=[config.store.metrics])


@pytest.fixture
async def api(database_url: str, certificates: Certificates) -> AsyncIterator[RunningApi]:
    async with serve_api(database_url, certificates, compose=measured) as running:
        yield running


async def metrics(api: RunningApi) -> dict[str, float]:
    """All samples; fails for what is no Prometheus text."""
    async with api.client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = (await answer.text()).splitlines()
    types: dict[str, str] = {}
    told: set[str] = set()
    samples: dict[str, float] = {}
    for line in lines:
        if line.startswith("# HELP "):
            told.add(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} is declared twice"
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            family = match[1]
            for suffix in SUFFIXES:
                if types.get(family.removesuffix(suffix)) == "histogram":
                    family = family.removesuffix(suffix)
            assert family in types, f"{line} has no TYPE"
            assert family in told, f"{line} has no HELP"
            key = line.rpartition(" ")[0]
            assert key not in samples, f"{key} is there twice"
            samples[key] = float(match[3])
    return samples


async def test_commits_waits_and_the_audits_backlog_are_measured(api: RunningApi) -> None:
    before = await metrics(api)
    for name in ("a", "b"):
        await create(api.client, CONFIGMAPS, configmap(name))
    async with api.client.post(CONFIGMAPS, json=configmap("a")) as answer:
        assert answer.status == 409
    after = await metrics(api)

    def grew(name: str) -> float:
        return after[name] - before[name]

    assert grew('moorage_store_writes_total{outcome="written"}') == 2
    assert grew("moorage_store_commit_seconds_count") >= 2
    assert grew("moorage_store_commit_seconds_sum") > 0
    assert grew("moorage_store_batch_members_sum") >= 2
    assert grew("moorage_store_wait_seconds_count") >= 2
    assert after["moorage_store_up"] == 1
    assert after["moorage_store_revision"] == before["moorage_store_revision"] + 2
    assert after["moorage_store_queued_requests"] == 0
    assert after["moorage_audit_lost_rows_total"] == 0


async def test_clients_cannot_make_up_series(api: RunningApi) -> None:
    for number in range(5):
        async with api.client.get(f"/apis/made.up/v1/kind{number}") as answer:
            assert answer.status == 404
        async with api.client.get(f"/api/v1/namespaces/made-up-{number}/configmaps/x{number}") as answer:
            assert answer.status == 404
    before = set(await metrics(api))
    for number in range(5, 10):
        async with api.client.get(f"/apis/made.up/v1/kind{number}") as answer:
            assert answer.status == 404
        async with api.client.get(f"/api/v1/namespaces/made-up-{number}/configmaps/x{number}") as answer:
            assert answer.status == 404
    after = set(await metrics(api))
    assert after == before
    assert not [name for name in after if "made" in name]


async def test_only_who_may_read_it_does(api: RunningApi) -> None:
    for token, expected in (("", 401), ("nobody-token", 403)):
        async with api.session(token) as session, session.get("/metrics") as answer:
            assert answer.status == expected
