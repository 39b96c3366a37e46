"""Git host and engine in the real API server: TLS, PostgreSQL, the API's own view of what was pushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from moorage.client.api import ApiClient
from moorage.client.resource import APPLICATIONS, CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, PODS, REPOSITORIES, SECRETS
from moorage_gitops.engine.run import Options, run
from tests.integration.gitops.hosted import Hosted, serve_git
from tests.integration.gitops.manifests import config_map, deployment
from tests.integration.gitops.rig import Work
from tests.support.certificates import Certificates
from tests.support.wait import until

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: canary}\n"


@pytest.fixture
async def hosted(database_url: str, certificates: Certificates, tmp_path: Path, work: Work) -> AsyncIterator[Hosted]:
    """A server with namespace ``shop``; ``work`` trusts its CA."""
    await work.git("config", "http.sslCAInfo", str(certificates.ca))
    async with serve_git(database_url, certificates, tmp_path / "git") as hosted:
        async with client_of(hosted) as client:
            await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        yield hosted


async def allow_plain_secrets(client: ApiClient) -> None:
    """Make the repository beforehand, as one that takes Secrets in the clear."""
    await client.create(
        REPOSITORIES,
        {
            "apiVersion": "gitops.moorage.io/v1",
            "kind": "Repository",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"plainSecrets": "allow"},
        },
        "shop",
    )


def client_of(hosted: Hosted) -> ApiClient:
    """An administrator's client."""
    return ApiClient(hosted.api.url, token="admin-token", ca_file=hosted.ca)


@asynccontextmanager
async def engine(client: ApiClient) -> AsyncIterator[None]:
    """The engine, while the block runs."""
    ready = asyncio.Event()
    running = asyncio.create_task(run(client, Options(every=5.0), ready=ready.set))
    try:
        async with asyncio.timeout(30):
            await ready.wait()
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def application(client: ApiClient) -> dict[str, Any]:
    """The status of the application."""
    status: dict[str, Any] = (await client.get(APPLICATIONS, "web", "shop")).get("status") or {}
    return status


async def test_twenty_objects_are_one_range_of_revisions(hosted: Hosted, work: Work) -> None:
    async with client_of(hosted) as client:
        await allow_plain_secrets(client)
    await work.commit(
        {
            **{f"cm{i}.yaml": config_map(f"cm{i}", k=str(i)) for i in range(18)},
            "web.yaml": deployment(),
            "s.yaml": SECRET,
        }
    )

    pushed = await work.push(hosted.url())

    assert pushed.code == 0, pushed.err
    assert "note: Secret shop/s: encrypted in the cluster, but readable in this repository's history" in pushed.err
    assert "canary" not in pushed.err
    async with client_of(hosted) as client:
        documents = [
            *(await client.list(CONFIG_MAPS, "shop")).items,
            *(await client.list(DEPLOYMENTS, "shop")).items,
            *(await client.list(SECRETS, "shop")).items,
        ]
        revisions = sorted(int(document["metadata"]["resourceVersion"]) for document in documents)
        assert revisions == list(range(revisions[0], revisions[0] + 20))
        assert (await application(client))["resourceCount"] == 20


async def test_a_refused_push_leaves_nothing(hosted: Hosted, work: Work) -> None:
    async with client_of(hosted) as client:
        await allow_plain_secrets(client)
    await work.commit({"cm.yaml": config_map("a", k="1"), "s.yaml": SECRET, "web.yaml": deployment(replicas=-1)})

    pushed = await work.push(hosted.url())

    assert (
        "web.yaml:6: Deployment shop/web: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        in pushed.err
    )
    async with client_of(hosted) as client:
        assert (await client.list(CONFIG_MAPS, "shop")).items == []
        assert (await client.list(SECRETS, "shop")).items == []
        assert (await client.list(APPLICATIONS, "shop")).items == []


async def test_health_follows_the_deployment(hosted: Hosted, work: Work) -> None:
    async with client_of(hosted) as client, engine(client):
        await work.commit({"web.yaml": deployment(replicas=2), "cm.yaml": config_map("a", k="1")})
        assert (await work.push(hosted.url())).code == 0

        async def health(status: str, message: str) -> bool:
            found = (await application(client)).get("health") or {}
            assert (found.get("status"), message in found.get("message", "")) == (status, True), found
            return True

        await until(lambda: health("Progressing", "Deployment web: waits for the controller"))
        await set_deployment(client, replicas=2, updatedReplicas=2, availableReplicas=1)
        await until(lambda: health("Progressing", "Deployment web: 1 of 2 pods are available"))
        await set_deployment(client, replicas=2, updatedReplicas=2, availableReplicas=2)
        await until(lambda: health("Healthy", ""))
        condition = {
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": "timed out",
        }
        await set_deployment(client, replicas=2, updatedReplicas=1, availableReplicas=1, conditions=[condition])
        await until(lambda: health("Degraded", "Deployment web: timed out"))
        resources = (await application(client))["resources"]
        assert [(entry["kind"], entry["health"]) for entry in resources] == [
            ("ConfigMap", "Healthy"),
            ("Deployment", "Degraded"),
        ]


async def test_a_failing_pod_gives_the_reason(hosted: Hosted, work: Work) -> None:
    async with client_of(hosted) as client, engine(client):
        await work.commit({"web.yaml": deployment()})
        await work.push(hosted.url())
        await set_deployment(client, replicas=1, updatedReplicas=1)
        container = {"name": "main", "image": "x"}
        metadata = {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}}
        await client.create(
            PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
        )
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        status = {
            "phase": "Pending",
            "containerStatuses": [
                {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
            ],
        }
        await client.patch(PODS, "web-1", {"status": status}, "shop", subresource="status")

        async def reason() -> bool:
            health = (await application(client)).get("health") or {}
            assert "pod web-1: main: ImagePullBackOff: no such image" in health.get("message", ""), health
            return True

        await until(reason)


async def test_changes_outside_git_are_shown_and_taken_back_by_a_push(hosted: Hosted, work: Work) -> None:
    async with client_of(hosted) as client, engine(client):
        await work.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
        await work.push(hosted.url())

        async def sync(status: str, message: str) -> bool:
            found = (await application(client)).get("sync") or {}
            assert found.get("status") == status, found
            assert message in found.get("message", ""), found
            return True

        await until(lambda: sync("Synced", ""))
        await client.patch(CONFIG_MAPS, "a", {"data": {"k": "other"}}, "shop", field_manager="kubectl-edit")
        await until(lambda: sync("OutOfSync", "ConfigMap a was changed outside Git by kubectl-edit"))
        await client.delete(CONFIG_MAPS, "b", "shop")
        await until(lambda: sync("OutOfSync", "ConfigMap b was deleted outside Git"))
        assert (await application(client))["health"]["status"] == "Missing"
        await work.commit()

        pushed = await work.push(hosted.url())

        assert "created     ConfigMap shop/b" in pushed.err
        assert "configured  ConfigMap shop/a" in pushed.err
        await until(lambda: sync("Synced", ""))
        assert (await client.get(CONFIG_MAPS, "a", "shop"))["data"] == {"k": "1"}


async def test_what_git_does_not_say_may_be_changed(hosted: Hosted, work: Work) -> None:
    async with client_of(hosted) as client, engine(client):
        await work.commit({"a.yaml": config_map("a", k="1")})
        await work.push(hosted.url())
        await client.patch(CONFIG_MAPS, "a", {"data": {"theirs": "x"}}, "shop", field_manager="kubectl-edit")
        await client.patch(
            CONFIG_MAPS, "a", {"metadata": {"labels": {"x": "y"}}}, "shop", field_manager="kubectl-label"
        )
        await work.commit({"c.yaml": config_map("c", k="1")})

        assert (await work.push(hosted.url(), "-o", "wait")).code == 0

        assert (await application(client))["sync"]["status"] == "Synced"


async def set_deployment(client: ApiClient, **status: Any) -> None:
    """What the controller would write."""
    change = {"status": {"observedGeneration": 1, "readyReplicas": status.get("availableReplicas", 0), **status}}
    await client.patch(DEPLOYMENTS, "web", change, "shop", subresource="status")
