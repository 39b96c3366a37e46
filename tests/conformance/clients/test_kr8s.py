"""kr8s: objects found by discovery, asynchronously."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kr8s.asyncio
import pytest
import yaml
from kr8s.asyncio.objects import ConfigMap, Deployment

from tests.integration.api.documents import configmap, deployment
from tests.support.apiserver import serve_api
from tests.support.certificates import Certificates

# It knows the versions that were out when it was released; ours says 1.36.
pytestmark = pytest.mark.filterwarnings("ignore:Kubernetes version:UserWarning")


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Any]:
    """A client; kr8s leaves its connections open for the process to close."""
    client: Any = await kr8s.asyncio.api(kubeconfig=str(kubeconfig))
    try:
        yield client
    finally:
        await client._session.aclose()


@pytest.fixture
async def kubeconfig(database_url: str, certificates: Certificates, tmp_path: Path) -> AsyncIterator[Path]:
    """A kubeconfig file for a server of the test's own."""
    async with serve_api(database_url, certificates) as running:
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(running.kubeconfig()))
        yield path


async def test_objects(kubeconfig: Path) -> None:
    async with connected(kubeconfig) as client:
        made: Any = await ConfigMap(configmap("c", namespace="default"), api=client)
        await made.create()
        assert await made.exists()
        await made.patch({"data": {"k": "2"}})
        assert made.data["k"] == "2"
        names = [each.name async for each in client.get("configmaps", namespace="default")]
        assert names == ["c"]
        await made.delete()
        assert not await made.exists()


async def test_scale(kubeconfig: Path) -> None:
    async with connected(kubeconfig) as client:
        made: Any = await Deployment(deployment("d", namespace="default"), api=client)
        await made.create()
        await made.patch({"spec": {"replicas": 3}})
        await made.refresh()
        assert made.replicas == 3
        version = await client.version()
        assert version["minor"] == "36"
