"""Deployments: life, status, rolling update, Recreate, rollover, proportional scaling, history, pause."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.conformance.workloads import deployment, running
from tests.support.rest import MERGE_PATCH, STRATEGIC, Document, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker


class Deployments:
    """The Deployments, ReplicaSets and pods of a namespace."""

    def __init__(self, api: Rest, space: str) -> None:
        self.api = api
        self.path = f"/apis/apps/v1/namespaces/{space}/deployments"
        self.sets = f"/apis/apps/v1/namespaces/{space}/replicasets"
        self.pods = f"/api/v1/namespaces/{space}/pods"

    def of(self, name: str) -> list[Document]:
        """The ReplicaSets, oldest revision first."""
        found = self.api.get(self.sets, labelSelector=f"app={name}")["items"]
        return sorted(found, key=lambda each: int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))

    async def complete(self, name: str) -> Document:
        """The Deployment once its newest template is everywhere."""

        def done() -> Document:
            document = self.api.get(f"{self.path}/{name}")
            status, wanted = document.get("status", {}), document["spec"]["replicas"]
            counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
            if status.get("observedGeneration") != document["metadata"]["generation"] or counts != [wanted] * 3:
                raise NotYet(str(status))
            return document

        return await until(done, timeout=60)

    def again(self, name: str, value: str, **template: Any) -> Document:
        """Change the template."""
        change = {"spec": {"template": {"metadata": {"annotations": {"changed": value}}, **template}}}
        return self.api.patch(f"{self.path}/{name}", change, STRATEGIC)


@pytest.fixture
def all_of(api: Rest, space: str) -> Deployments:
    return Deployments(api, space)


async def test_life(api: Rest, image: str, all_of: Deployments) -> None:
    path = all_of.path
    made = api.create(path, deployment("life", running(image), replicas=1))
    assert made["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (made["spec"]["progressDeadlineSeconds"], made["spec"]["revisionHistoryLimit"]) == (600, 10)
    assert made["metadata"]["generation"] == 1
    ready = await all_of.complete("life")
    conditions = {each["type"]: each for each in ready["status"]["conditions"]}
    assert conditions["Available"]["status"] == "True"
    assert conditions["Available"]["reason"] == "MinimumReplicasAvailable"
    assert conditions["Progressing"]["reason"] == "NewReplicaSetAvailable"
    assert ready["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    api.patch(f"{path}/life", {"metadata": {"labels": {"test": "patched"}}, "spec": {"replicas": 2}}, STRATEGIC)
    await all_of.complete("life")
    scale = api.get(f"{path}/life/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 2, "selector": "app=life"})
    api.patch(f"{path}/life/scale", {"spec": {"replicas": 1}})
    await all_of.complete("life")
    assert api.names("/apis/apps/v1/deployments", labelSelector="test=patched") == ["life"]
    (only,) = all_of.of("life")
    assert only["metadata"]["ownerReferences"][0]["name"] == "life"
    assert only["metadata"]["name"] == f"life-{only['metadata']['labels']['pod-template-hash']}"
    api.delete(path, labelSelector="test=patched")
    assert api.missing(f"{path}/life")
    await until(lambda: not all_of.of("life") and not api.names(all_of.pods, labelSelector="app=life"))


async def test_status_can_be_written(api: Rest, image: str, all_of: Deployments) -> None:
    path = f"{all_of.path}/status"
    api.create(all_of.path, deployment("status", running(image), replicas=0))
    await all_of.complete("status")
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

    def update() -> bool:
        read = api.get(f"{path}/status")
        read["status"]["conditions"].append(condition)
        read["spec"]["replicas"] = 7
        return api.request("PUT", f"{path}/status", read).code == 200

    await until(update)
    read = api.get(path)
    assert "StatusUpdate" in [each["type"] for each in read["status"]["conditions"]]
    assert read["spec"]["replicas"] == 0
    patch = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
    patched = api.patch(f"{path}/status", patch, MERGE_PATCH)
    assert [each["type"] for each in patched["status"]["conditions"]] == ["StatusPatched"]
    api.delete(path)


async def test_a_rolling_update_stays_within_its_bounds(api: Rest, image: str, all_of: Deployments) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    api.create(all_of.path, deployment("rolls", running(image), replicas=2, strategy=strategy))
    before = await all_of.complete("rolls")
    start = before["metadata"]["resourceVersion"]
    all_of.again("rolls", "once")
    with api.watch(all_of.path, fieldSelector="metadata.name=rolls", resourceVersion=start) as events:
        for _, seen in events:
            status = seen["status"]
            assert status["replicas"] <= 3
            assert status.get("availableReplicas", 0) >= 2
            done = status["observedGeneration"] == 2 and status["replicas"] == status.get("updatedReplicas") == 2
            if done and status.get("availableReplicas") == 2:
                break
    old, new = all_of.of("rolls")
    assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 2)
    for name in ("deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"):
        assert name in new["metadata"]["annotations"]
    api.delete(f"{all_of.path}/rolls")


async def test_recreate_never_mixes_two_templates(api: Rest, image: str, all_of: Deployments) -> None:
    api.create(all_of.path, deployment("anew", running(image), replicas=2, strategy={"type": "Recreate"}))
    await all_of.complete("anew")
    start = api.get(all_of.pods)["metadata"]["resourceVersion"]
    all_of.again("anew", "once")
    await all_of.complete("anew")
    new = all_of.of("anew")[1]["metadata"]["labels"]["pod-template-hash"]
    running_now: dict[str, str] = {}
    with api.watch(all_of.pods, labelSelector="app=anew", resourceVersion=start) as events:
        for type_, seen in events:
            hash_ = seen["metadata"]["labels"]["pod-template-hash"]
            if type_ == "DELETED":
                running_now.pop(seen["metadata"]["name"], None)
            elif seen["status"]["phase"] == "Running":
                running_now[seen["metadata"]["name"]] = hash_
            assert len(set(running_now.values())) <= 1
            if list(running_now.values()) == [new, new]:
                break
    api.delete(f"{all_of.path}/anew")


async def test_a_rollover_abandons_what_was_under_way(api: Rest, image: str, all_of: Deployments) -> None:
    api.create(all_of.path, deployment("over", running(image), replicas=1))
    await all_of.complete("over")
    broken = {"spec": {"containers": [{"name": "main", "image": "missing.local/none:1"}]}}
    all_of.again("over", "broken", **broken)
    await until(lambda: len(all_of.of("over")) == 2)
    good = {"spec": {"containers": [{"name": "main", "image": image}]}}
    all_of.again("over", "good", **good)
    await all_of.complete("over")
    counts = [each["spec"]["replicas"] for each in all_of.of("over")]
    assert counts == [0, 0, 1]
    api.delete(f"{all_of.path}/over")


async def test_scaling_in_the_middle_of_a_rollout_is_proportional(api: Rest, image: str, all_of: Deployments) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    api.create(all_of.path, deployment("share", running(image), replicas=4, strategy=strategy))
    await all_of.complete("share")
    all_of.again("share", "stuck", spec={"containers": [{"name": "main", "image": "missing.local/none:1"}]})

    def counts(*wanted: int) -> bool:
        found = [each["spec"]["replicas"] for each in all_of.of("share")]
        if found != list(wanted):
            raise NotYet(str(found))
        return True

    await until(lambda: counts(2, 4))
    api.patch(f"{all_of.path}/share", {"spec": {"replicas": 12}})
    # 15 pods are allowed now instead of 7: each grows by that proportion, the bigger one takes what is left over.
    await until(lambda: counts(4, 11))
    api.delete(f"{all_of.path}/share")


async def test_history_is_kept_within_its_limit_and_pause_pauses(api: Rest, image: str, all_of: Deployments) -> None:
    api.create(all_of.path, deployment("past", running(image), replicas=0, revisionHistoryLimit=1))
    await all_of.complete("past")

    def revision() -> str:
        text: str = api.get(f"{all_of.path}/past")["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        return text

    for number in range(2, 5):
        all_of.again("past", str(number))
        await until(partial(lambda wanted: revision() == wanted, str(number)))
    await until(lambda: len(all_of.of("past")) == 2)
    api.patch(f"{all_of.path}/past", {"spec": {"paused": True}})
    all_of.again("past", "while paused")

    def paused() -> bool:
        document = api.get(f"{all_of.path}/past")
        reasons = [each["reason"] for each in document["status"]["conditions"]]
        return (
            "DeploymentPaused" in reasons
            and document["status"]["observedGeneration"] == document["metadata"]["generation"]
        )

    await until(paused)
    assert all_of.of("past")[-1]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
    api.patch(f"{all_of.path}/past", {"spec": {"paused": None}})
    await until(lambda: all_of.of("past")[-1]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "5")
    api.delete(f"{all_of.path}/past")


async def test_a_replicaset_that_fits_is_adopted(api: Rest, all_of: Deployments, image: str) -> None:
    first = api.create(all_of.path, deployment("adopts", running(image), replicas=0))
    await all_of.complete("adopts")
    (only,) = all_of.of("adopts")
    api.delete(f"{all_of.path}/adopts", {"propagationPolicy": "Orphan"})
    await until(lambda: api.missing(f"{all_of.path}/adopts"))
    second = api.create(all_of.path, deployment("adopts", running(image), replicas=0))
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    await all_of.complete("adopts")
    (kept,) = all_of.of("adopts")
    assert kept["metadata"]["uid"] == only["metadata"]["uid"]
    assert kept["metadata"]["ownerReferences"][0]["uid"] == second["metadata"]["uid"]
    api.delete(f"{all_of.path}/adopts")


async def test_a_rollout_that_does_not_progress_says_so(api: Rest, all_of: Deployments) -> None:
    broken = {"containers": [{"name": "main", "image": "missing.local/none:1"}]}
    api.create(all_of.path, deployment("stuck", broken, progressDeadlineSeconds=1))

    def overdue() -> bool:
        conditions = api.get(f"{all_of.path}/stuck").get("status", {}).get("conditions") or []
        return "ProgressDeadlineExceeded" in [each["reason"] for each in conditions]

    await until(overdue)
    api.delete(f"{all_of.path}/stuck")
