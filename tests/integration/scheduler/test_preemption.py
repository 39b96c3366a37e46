"""Preemption on the real API: what victims and who comes after them are told, and that the place is kept."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.client.api import ApiClient
from moorage.client.objects import Document, condition, is_deleting
from moorage.client.resource import NODES, POD_DISRUPTION_BUDGETS, PODS
from tests.integration.scheduler.test_scheduler import _bound, _event, _node, _pod, _scheduling
from tests.support.apiserver import RunningApi
from tests.support.wait import until


def _ranked(name: str, cpu: str, priority: int, **spec: Any) -> Document:
    """A pod with a priority. This API has no admission that would look its class up."""
    return _pod(name, cpu, priority=priority, priorityClassName="ranked", **spec)


async def _nominated(client: ApiClient, name: str) -> Document:
    async def nominated() -> Document:
        pod = await client.get(PODS, name, "team")
        assert (pod.get("status") or {}).get("nominatedNodeName"), pod["status"]
        return pod

    return await until(nominated, timeout=30)


async def _gone(client: ApiClient, name: str) -> None:
    await client.delete(PODS, name, "team", grace_seconds=0)


async def _victims(client: ApiClient) -> set[str]:
    pods = (await client.list(PODS, "team")).items
    return {pod["metadata"]["name"] for pod in pods if is_deleting(pod)}


async def test_a_less_important_pod_makes_room_gracefully(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        for name, priority in (("low", 1), ("high", 100)):
            await client.create(PODS, _ranked(name, "500m", priority))
            await _bound(client, name)
        wants = await client.create(PODS, _ranked("wants", "500m", 50))
        assert (await _nominated(client, "wants"))["status"]["nominatedNodeName"] == "n1"
        assert await _victims(client) == {"low"}
        low = await client.get(PODS, "low", "team")
        assert low["metadata"]["deletionGracePeriodSeconds"] == 30
        why = condition(low, "DisruptionTarget") or {}
        assert (why["status"], why["reason"]) == ("True", "PreemptionByScheduler")
        told = await _event(client, "low", "Preempted")
        assert told["message"] == f"Preempted by pod {wants['metadata']['uid']} on node n1"
        await client.create(PODS, _ranked("thief", "500m", 49))
        await _event(client, "thief", "FailedScheduling")
        await _gone(client, "low")
        bound = await _bound(client, "wants")
        assert "nominatedNodeName" not in bound["status"]
        assert not (await client.get(PODS, "thief", "team"))["spec"].get("nodeName")


@pytest.mark.parametrize("fields", [{"priority": 0}, {"priority": 9, "preemptionPolicy": "Never"}])
async def test_who_may_not_preempt_waits(api: RunningApi, fields: dict[str, Any]) -> None:
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        await client.create(PODS, _pod("first", "1"))
        await _bound(client, "first")
        await client.create(PODS, _ranked("second", "1", **fields))
        await _event(client, "second", "FailedScheduling")
        assert await _victims(client) == set()
        await _gone(client, "first")
        await _bound(client, "second")


async def test_the_pod_of_a_budget_is_spared(api: RunningApi) -> None:
    async with _scheduling(api) as client:
        metadata = {"name": "b", "namespace": "team"}
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}
        await client.create(
            POD_DISRUPTION_BUDGETS,
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec},
        )
        await client.create(NODES, _node("n1"))
        for name, priority in (("kept", 0), ("free", 1)):
            document = _ranked(name, "500m", priority)
            document["metadata"]["labels"] = {"app": name}
            await client.create(PODS, document)
            await _bound(client, name)
        await client.create(PODS, _ranked("wants", "500m", 50))
        await _nominated(client, "wants")
        assert await _victims(client) == {"free"}


async def test_a_promise_outlives_its_scheduler(api: RunningApi) -> None:
    """Of two that matter as much, the one gets the place that it was cleared for, though the other is older."""
    async with _scheduling(api) as client:
        await client.create(NODES, _node("n1"))
        await client.create(PODS, _pod("low", "1"))
        await _bound(client, "low")
        await client.create(PODS, _ranked("older", "1", 5, preemptionPolicy="Never"))
        await client.create(PODS, _ranked("wants", "1", 5))
        await _nominated(client, "wants")
    async with ApiClient(api.url, token=api.token, ca_file=api.ca_file) as client:
        await _gone(client, "low")
    async with _scheduling(api, namespace=False) as client:
        await _bound(client, "wants")
        assert not (await client.get(PODS, "older", "team"))["spec"].get("nodeName")
