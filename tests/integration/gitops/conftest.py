"""Fixtures: a Git host over the store in memory with a namespace ``shop``, and a user's working copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from moorage.api.contracts import Operation, TransactionRequest
from moorage.resources.core.namespaces import NAMESPACE
from moorage_gitops.host.manifests.limits import ManifestLimits
from tests.integration.gitops.rig import TOKENS, Rig, Work


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The server runs on uvloop, whose pipes and processes differ from asyncio's own; so do these tests."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A running host."""
    rig = Rig(tmp_path / "server")
    await rig.start()
    await add_namespace(rig, "shop")
    yield rig
    await rig.stop()


@pytest.fixture
async def small_rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A running host where a commit may deploy 30 objects."""
    rig = Rig(tmp_path / "server", manifest_limits=ManifestLimits(documents=30))
    await rig.start()
    await add_namespace(rig, "shop")
    yield rig
    await rig.stop()


@pytest.fixture
async def work(tmp_path: Path) -> Work:
    """An empty repository of a user."""
    return await Work(tmp_path / "work").init()


async def add_namespace(rig: Rig, name: str) -> None:
    """Create a namespace as an administrator."""
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    operation = Operation(verb="create", kind=NAMESPACE, namespace="", name=name, document=document)
    result = await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
    assert result.committed, result
