"""pods/eviction: what budgets allow, and that no two evictions take the same place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.api.documents import PODS, Document, create, patch, pod, send
from tests.support.apiserver import RunningApi

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def eviction(name: str, **options: Any) -> Document:
    """An Eviction."""
    document: Document = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return {**document, "deleteOptions": options} if options else document


async def budget(api: RunningApi, name: str = "b", **status: Any) -> Document:
    """A budget of the pods ``app=web``, with this status at its generation."""
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await create(api.client, BUDGETS, {"metadata": {"name": name}, "spec": spec})
    wanted = {"observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2, **status}
    return await patch(api.client, f"{BUDGETS}/{name}/status", {"status": wanted})


async def runs(api: RunningApi, *names: str, **status: Any) -> None:
    """Pods ``app=web`` on a node."""
    for name in names:
        await create(api.client, PODS, pod(name, labels={"app": "web"}))
        target = {"metadata": {"name": name}, "target": {"name": "n1"}}
        await create(api.client, f"{PODS}/{name}/binding", target)
        await patch(api.client, f"{PODS}/{name}/status", {"status": {**READY, **status}})


async def test_an_eviction_deletes_gracefully_and_says_why(api: RunningApi) -> None:
    await runs(api, "a")
    done = await create(api.client, f"{PODS}/a/eviction", eviction("a", gracePeriodSeconds=7))
    assert (done["kind"], done["status"]) == ("Status", "Success")
    going = await send(api.client, "GET", f"{PODS}/a")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 7
    why = next(each for each in going["status"]["conditions"] if each["type"] == "DisruptionTarget")
    assert (why["status"], why["reason"], why["message"]) == ("True", "EvictionByEvictionAPI", "Eviction API: evicting")
    await create(api.client, f"{PODS}/a/eviction", eviction("a"))
    await send(api.client, "POST", f"{PODS}/none/eviction", eviction("none"), expect=404)
    wrong = await send(api.client, "POST", f"{PODS}/a/eviction", eviction("b"), expect=400)
    assert wrong["message"] == "name in URL does not match name in Eviction object"


async def test_a_dry_run_and_preconditions(api: RunningApi) -> None:
    await runs(api, "a")
    await budget(api, disruptionsAllowed=1)
    for query, options in ({"dryRun": "All"}, {}), ({}, {"dryRun": ["All"]}):
        await create(api.client, f"{PODS}/a/eviction", eviction("a", **options), params=query)
    assert "deletionTimestamp" not in (await send(api.client, "GET", f"{PODS}/a"))["metadata"]
    assert (await send(api.client, "GET", f"{BUDGETS}/b"))["status"]["disruptionsAllowed"] == 1
    other = eviction("a", preconditions={"uid": "another"})
    assert (
        "UID in the precondition"
        in (await send(api.client, "POST", f"{PODS}/a/eviction", other, expect=409))["message"]
    )


async def test_a_budget_gives_what_it_has_and_no_more(api: RunningApi) -> None:
    names = [f"p{number}" for number in range(8)]
    await runs(api, *names)
    await budget(api, disruptionsAllowed=3, currentHealthy=8, desiredHealthy=5, expectedPods=8)

    async def evict(name: str) -> int:
        async with api.client.post(f"{PODS}/{name}/eviction", json=eviction(name)) as answer:
            if answer.status == 429:
                status = await answer.json()
                assert (status["reason"], status["message"]) == ("TooManyRequests", REFUSED)
                assert status["details"]["causes"] == [
                    {
                        "reason": "DisruptionBudget",
                        "message": "The disruption budget b needs 5 healthy pods and has 8 currently",
                    }
                ]
            return answer.status

    codes = await asyncio.gather(*(evict(name) for name in names))
    assert sorted(codes) == [201] * 3 + [429] * 5
    left = (await send(api.client, "GET", f"{BUDGETS}/b"))["status"]
    assert left["disruptionsAllowed"] == 0
    assert len(left["disruptedPods"]) == 3
    going = [
        each["metadata"]["name"]
        for each in (await send(api.client, "GET", PODS))["items"]
        if "deletionTimestamp" in each["metadata"]
    ]
    assert set(going) == set(left["disruptedPods"])


async def test_a_budget_that_was_not_looked_at_yet_gives_nothing(api: RunningApi) -> None:
    await runs(api, "a")
    await budget(api, disruptionsAllowed=1)
    await patch(api.client, f"{BUDGETS}/b", {"spec": {"minAvailable": 2}})
    async with api.client.post(f"{PODS}/a/eviction", json=eviction("a")) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
        cause = (await answer.json())["details"]["causes"][0]["message"]
        assert cause == "The disruption budget b is still being processed by the server."


async def test_several_budgets_are_too_many(api: RunningApi) -> None:
    await runs(api, "a")
    await budget(api, disruptionsAllowed=1)
    await budget(api, "c", disruptionsAllowed=1)
    refused = await send(api.client, "POST", f"{PODS}/a/eviction", eviction("a"), expect=500)
    assert refused["message"].startswith("This pod has more than one PodDisruptionBudget")


@pytest.mark.parametrize(
    ("current", "policy", "code"),
    [(1, None, 201), (0, None, 429), (0, "IfHealthyBudget", 429), (0, "AlwaysAllow", 201)],
)
async def test_a_pod_that_is_not_ready(api: RunningApi, current: int, policy: str | None, code: int) -> None:
    await runs(api, "a", conditions=[{"type": "Ready", "status": "False"}])
    await budget(api, disruptionsAllowed=0, currentHealthy=current)
    if policy:
        await patch(api.client, f"{BUDGETS}/b", {"spec": {"unhealthyPodEvictionPolicy": policy}})
        await patch(api.client, f"{BUDGETS}/b/status", {"status": {"observedGeneration": 2}})
    await send(api.client, "POST", f"{PODS}/a/eviction", eviction("a"), expect=code)


async def test_pods_that_no_budget_counts(api: RunningApi) -> None:
    """Ended, or not begun."""
    await create(api.client, PODS, pod("waits", labels={"app": "web"}))
    await runs(api, "ended", phase="Failed")
    await budget(api, disruptionsAllowed=0)
    for name in ("waits", "ended"):
        await create(api.client, f"{PODS}/{name}/eviction", eviction(name))
        await send(api.client, "GET", f"{PODS}/{name}", expect=404)
