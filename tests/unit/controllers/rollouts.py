"""A Deployment and its ReplicaSets in memory: applies plans, and lets pods become available when a test says so."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from typing import Any

from moorage.client.objects import Document, timestamp
from moorage.controllers.deployment.plan import Plan, plan

START = 1_790_000_000.0


@dataclass
class ReplicaSetModel:
    """``ready`` of its ``pods`` are available now; what it reported last may be older."""

    document: Document
    pods: int = 0
    ready: int = 0


@dataclass
class Rollout:
    """``seed`` decides what happens between two looks of the controller."""

    document: Document
    seed: int = 0
    now: float = START
    sets: dict[str, ReplicaSetModel] = field(default_factory=dict)
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @property
    def wanted(self) -> int:
        return int(self.document["spec"]["replicas"])

    @property
    def told(self) -> int:
        """Pods that all ReplicaSets are told to have."""
        return sum(each.document["spec"]["replicas"] for each in self.sets.values())

    @property
    def available(self) -> int:
        """Pods that are really available."""
        return sum(each.ready for each in self.sets.values())

    def change(self, **spec: Any) -> None:
        """The user edits the Deployment."""
        self.document["spec"].update(spec)
        self.document["metadata"]["generation"] += 1

    def set_image(self, image: str) -> None:
        """The user sets another image."""
        template = copy.deepcopy(self.document["spec"]["template"])
        template["spec"]["containers"][0]["image"] = image
        self.change(template=template)

    def look(self) -> Plan:
        """The controller looks, and its plan is carried out at once."""
        documents = [copy.deepcopy(each.document) for each in self.sets.values()]
        old_pods = any(each.pods for each in list(self.sets.values())[:-1])
        found = plan(copy.deepcopy(self.document), documents, old_pods, self.now)
        if found.create is not None:
            self._create(copy.deepcopy(found.create))
        for change in found.resize:
            target = self.sets[change.target.name].document
            target["metadata"]["annotations"].update(change.annotations)
            if change.replicas is not None:
                target["spec"]["replicas"] = change.replicas
                target["metadata"]["generation"] += 1
        for each in found.delete:
            del self.sets[each.name]
        self.document["metadata"].setdefault("annotations", {}).update(found.annotations)
        self.document["status"] = copy.deepcopy(found.status)
        return found

    def _create(self, document: Document) -> None:
        document["metadata"].update(
            uid=document["metadata"]["name"], generation=1, creationTimestamp=timestamp(self.now)
        )
        document["metadata"]["resourceVersion"] = "1"
        assert document["metadata"]["name"] not in self.sets
        self.sets[document["metadata"]["name"]] = ReplicaSetModel(document)

    def something_happens(self) -> None:
        """Some ReplicaSet acts, or one of its pods becomes available, or it reports what it has."""
        self.now += self.rng.uniform(0.1, 2)
        for each in self.sets.values():
            chance = self.rng.random()
            if chance < 0.4:
                self._act(each)
            elif chance < 0.7 and each.ready < each.pods:
                each.ready += 1
            else:
                self._report(each)

    def settle(self, healthy: bool = True) -> None:
        """Everything that can happen without the controller does."""
        self.now += 1
        for each in self.sets.values():
            self._act(each)
            if healthy:
                each.ready = each.pods
            self._report(each)

    def _act(self, each: ReplicaSetModel) -> None:
        """As a ReplicaSet controller does: pods that are not available go first."""
        each.pods = each.document["spec"]["replicas"]
        each.ready = min(each.ready, each.pods)

    def _report(self, each: ReplicaSetModel) -> None:
        counts = {"replicas": each.pods, "readyReplicas": each.ready, "availableReplicas": each.ready}
        each.document["status"] = {**counts, "observedGeneration": each.document["metadata"]["generation"]}


def rollout(replicas: int, surge: object = "25%", unavailable: object = "25%", seed: int = 0, **spec: Any) -> Rollout:
    """A Deployment that has not been looked at yet."""
    container = {"name": "web", "image": "web:1"}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "team", "uid": "d1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }
    return Rollout(document, seed)


def completed(model: Rollout, steps: int = 60) -> Rollout:
    """Let the rollout come to its end. Fails where it does not."""
    for _ in range(steps):
        model.look()
        model.settle()
        status = model.document["status"]
        counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
        if counts == [model.wanted] * 3:
            return model
    raise AssertionError(f"not complete after {steps} looks: {model.document['status']}")
