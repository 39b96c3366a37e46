"""The scheduler on the real API: what it writes, and when it tries again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from moorage.client import operations
from moorage.client.api import ApiClient
from moorage.client.objects import Document, condition
from moorage.client.resource import EVENTS, NAMESPACES, NODES, PODS
from moorage.scheduler.run import run
from tests.support.apiserver import RunningApi
from tests.support.wait import throughout, until

TEAM = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}


def _node(name: str, cpu: str = "1", **spec: Any) -> Document:
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    status = {"capacity": amounts, "allocatable": amounts, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec, "status": status}


def _pod(name: str, cpu: str = "100m", **spec: Any) -> Document:
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "team"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


@asynccontextmanager
async def _scheduling(api: RunningApi, *, namespace: bool = True) -> AsyncIterator[ApiClient]:
    async with ApiClient(api.url, token=api.token, ca_file=api.ca_file) as client:
        if namespace:
            await client.create(NAMESPACES, TEAM)
        running = asyncio.create_task(run(client))
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _bound(client: ApiClient, name: str) -> Document:
    async def bound() -> Document:
        pod = await client.get(PODS, name, "team")
        assert pod["spec"].get("nodeName"), pod["status"]
        return pod

    return await until(bound)


async def _event(client: ApiClient, name: str, reason: str) -> Document:
    async def recorded() -> Document:
        found = (await client.list(EVENTS, "team", fields={"involvedObject.name": name, "reason": reason})).items
        assert found, f"no event {reason} about {name}"
        return found[0]

    return await until(recorded)


async def test_a_pod_is_bound_and_an_event_says_where(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        await client.create(PODS, _pod("web"))
        pod = await _bound(client, "web")
        assert pod["spec"]["nodeName"] == "n1"
        assert (condition(pod, "PodScheduled") or {})["status"] == "True"
        event = await _event(client, "web", "Scheduled")
        assert event["message"] == "Successfully assigned team/web to n1"
        assert event["source"]["component"] == "default-scheduler"


async def test_a_pod_that_fits_nowhere_says_why_and_is_bound_when_it_does(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("small"))
        taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
        await client.create(NODES, _node("other", "8", taints=[taint]))
        await client.create(PODS, _pod("big", "2"))

        async def told() -> Document:
            pod = await client.get(PODS, "big", "team")
            found = condition(pod, "PodScheduled")
            assert found is not None
            assert found["status"] == "False"
            return found

        found = await until(told)
        assert found["reason"] == "Unschedulable"
        expected = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: db}."
        assert found["message"] == expected
        event = await _event(client, "big", "FailedScheduling")
        assert (event["type"], event["message"]) == ("Warning", expected)
        await client.patch(NODES, "other", {"spec": {"taints": None}})
        assert (await _bound(client, "big"))["spec"]["nodeName"] == "other"


async def test_room_that_becomes_free_is_given_to_who_waits(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        await client.create(PODS, _pod("first", "1"))
        await _bound(client, "first")
        await client.create(PODS, _pod("second", "1"))
        await _event(client, "second", "FailedScheduling")
        await client.delete(PODS, "first", "team", grace_seconds=0)
        await _bound(client, "second")


async def test_others_pods_are_left_alone(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        await client.create(PODS, _pod("theirs", schedulerName="another"))
        await client.create(PODS, _pod("gated", schedulingGates=[{"name": "example.com/wait"}]))
        await client.create(PODS, _pod("ours"))
        await _bound(client, "ours")

        async def unbound() -> None:
            for name in ("theirs", "gated"):
                assert not (await client.get(PODS, name, "team"))["spec"].get("nodeName")

        await throughout(unbound, seconds=0.2)


async def test_two_schedulers_never_put_too_much_on_a_node(api: RunningApi) -> None:
    """Each does not know of the other's plans: the API refuses the second binding, and the loser looks again."""
    async with _scheduling(api) as client:
        second = asyncio.create_task(run(client))
        await client.batch([operations.create(_node(f"n{number}", "4")) for number in range(4)])
        await client.batch([operations.create(_pod(f"p{number}")) for number in range(60)])

        async def all_bound() -> list[Document]:
            pods = (await client.list(PODS, "team")).items
            assert all(pod["spec"].get("nodeName") for pod in pods)
            return pods

        pods = await until(all_bound)
        assert len({pod["metadata"]["uid"] for pod in pods}) == 60
        scheduled = (await client.list(EVENTS, "team", fields={"reason": "Scheduled"})).items
        assert len({event["involvedObject"]["uid"] for event in scheduled}) == len(scheduled)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def test_a_restarted_scheduler_counts_what_runs_already(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        await client.create(PODS, _pod("first", "800m"))
        await _bound(client, "first")
    async with ApiClient(api.url, token=api.token, ca_file=api.ca_file) as client:
        running = asyncio.create_task(run(client))
        await client.create(PODS, _pod("second", "800m"))
        event = await _event(client, "second", "FailedScheduling")
        assert event["message"] == "0/1 nodes are available: 1 Insufficient cpu."
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
