"""Everything that one look at a Deployment decides, from documents and time alone.

Source: Kubernetes' ``deployment_controller.go`` (``syncDeployment``), ``sync.go``, ``rolling.go``, ``recreate.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from moorage.client.objects import Document, is_deleting, with_condition
from moorage.controllers.deployment import proportional, revisions, rollout, status
from moorage.controllers.deployment.view import (
    REVISION,
    DeploymentView,
    ReplicaSetView,
    replica_set_view,
    revision_of,
)


@dataclass(slots=True)
class Resize:
    """A change of one ReplicaSet. ``replicas`` None: only annotations and ``min_ready`` (None: as it is)."""

    target: ReplicaSetView
    replicas: int | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    min_ready: int | None = None


@dataclass(slots=True)
class Plan:
    """``create`` and ``resize`` come first, then ``annotations`` of the Deployment, ``status``, and at last ``delete``."""

    status: Document
    create: Document | None = None
    resize: list[Resize] = field(default_factory=list)
    delete: list[ReplicaSetView] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    again: float | None = None
    """Seconds until time alone changes something."""


def plan(document: Document, replica_sets: Sequence[Document], old_pods_left: bool, now: float) -> Plan:
    """What to do. ``old_pods_left``: pods of old ReplicaSets still run (asked for by Recreate only)."""
    deployment = DeploymentView(document)
    sets = [replica_set_view(each) for each in replica_sets]
    new = revisions.new_replica_set(deployment, sets)
    old = [each for each in sets if each is not new]
    look = _Look(deployment, new, old, list(deployment.status.get("conditions") or []), now)
    if is_deleting(document):
        return look.finished(with_progress=False)
    change = status.pause_condition(deployment, now)
    if change is not None:
        look.conditions = status.replaced(look.conditions, change)
    if deployment.paused or proportional.is_scaling(deployment, sets):
        look.adopt_revision()
        look.resize(proportional.scaled_sizes(deployment, new, old), annotate_all=True)
        if deployment.paused:
            look.clean_up()
        return look.finished(with_progress=False)
    if deployment.recreate:
        look.recreate(old_pods_left)
    else:
        look.roll()
    return look.finished(with_progress=True)


class _Look:
    """The plan while it is being made."""

    def __init__(
        self,
        deployment: DeploymentView,
        new: ReplicaSetView | None,
        old: Sequence[ReplicaSetView],
        conditions: list[Document],
        now: float,
    ) -> None:
        self.deployment = deployment
        self.new = new
        self.old = old
        self.conditions = conditions
        self.now = now
        self.plan = Plan({})
        self._resizes: dict[str, Resize] = {}

    @property
    def sets(self) -> list[ReplicaSetView]:
        """All ReplicaSets."""
        return [*self.old, *([self.new] if self.new else [])]

    def roll(self) -> None:
        """One step of a rolling update."""
        self.adopt_revision()
        if self.new is None:
            self._create()
            return
        sizes = rollout.rolling_step(self.deployment, self.new, self.old)
        self.resize(sizes)
        if not sizes:
            self._clean_up_when_complete()

    def recreate(self, old_pods_left: bool) -> None:
        """One step of a Recreate: old sets to zero, wait for their pods, then the new set at once."""
        self.adopt_revision()
        to_zero = rollout.all_to_zero(self.old)
        if to_zero:
            self.resize(to_zero)
        elif not old_pods_left and not any(each.reported for each in self.old):
            if self.new is None:
                self._create()
            elif self.new.replicas != self.deployment.replicas:
                self.resize({self.new.name: self.deployment.replicas})
            else:
                self._clean_up_when_complete()

    def adopt_revision(self) -> None:
        """Number the new ReplicaSet above all others (a rollback gives an old one a new number); follow ``minReadySeconds``."""
        if self.new is None:
            return
        revision = revisions.next_revision(self.old)
        annotations = revisions.new_annotations(self.deployment, self.new.annotations, revision)
        min_ready = int(self.deployment.spec.get("minReadySeconds") or 0)
        change = self._resize(self.new)
        change.annotations.update(annotations)
        if min_ready != int(self.new.document["spec"].get("minReadySeconds") or 0):
            change.min_ready = min_ready
        self._set_revision(max(revision_of(annotations), self.new.revision))
        if self.deployment.deadline is not None and not self._has_progress():
            message = f'Found new replica set "{self.new.name}"'
            self._progress(status.NEW_FOUND, message)

    def resize(self, sizes: rollout.Sizes, *, annotate_all: bool = False) -> None:
        """Give the named ReplicaSets their sizes and the annotations that go with them; ``annotate_all``: those that keep
        their size too.
        """
        for each in self.sets:
            if each.name in sizes and (annotate_all or sizes[each.name] != each.replicas):
                change = self._resize(each)
                if sizes[each.name] != each.replicas:
                    change.replicas = sizes[each.name]
                wanted = revisions.size_annotations(self.deployment)
                change.annotations.update({k: v for k, v in wanted.items() if each.annotations.get(k) != v})

    def clean_up(self) -> None:
        """Remove the oldest idle ReplicaSets beyond ``revisionHistoryLimit``."""
        limit = self.deployment.spec.get("revisionHistoryLimit")
        if limit is None:
            return
        kept = [each for each in self.old if not is_deleting(each.document)]
        surplus = sorted(kept, key=lambda each: (each.revision, each.created))[: max(0, len(kept) - int(limit))]
        self.plan.delete = [each for each in surplus if each.idle]

    def finished(self, *, with_progress: bool) -> Plan:
        """The plan with its status and the time of the next look."""
        found = status.calculate(self.deployment, self.new, self.sets, self.conditions, self.now)
        if with_progress:
            found = status.with_progress(self.deployment, self.new, self.sets, found, self.now)
            progressing = next((each for each in found["conditions"] if each["type"] == "Progressing"), None)
            if not status.is_complete(self.deployment, found):
                left = status.seconds_to_deadline(self.deployment, progressing, self.now)
                self.plan.again = left + 1.0 if left else None
        self.plan.status = found
        self.plan.resize = [
            each
            for each in self._resizes.values()
            if each.replicas is not None or each.annotations or each.min_ready is not None
        ]
        return self.plan

    def _clean_up_when_complete(self) -> None:
        if status.is_complete(self.deployment, self.deployment.status):
            self.clean_up()

    def _create(self) -> None:
        revision = revisions.next_revision(self.old)
        collisions = int(self.deployment.status.get("collisionCount") or 0)
        size = rollout.new_size(self.deployment, self.old, 0)
        self.plan.create = revisions.build(self.deployment, revision, size, collisions)
        self._set_revision(revision)
        if self.deployment.deadline is not None:
            self._progress(status.NEW_CREATED, f'Created new replica set "{self.plan.create["metadata"]["name"]}"')

    def _progress(self, reason: str, message: str) -> None:
        entry = status.make("Progressing", "True", reason, message, self.now)
        self.conditions = with_condition(self.conditions, entry)

    def _has_progress(self) -> bool:
        return any(each.get("type") == "Progressing" for each in self.conditions)

    def _set_revision(self, revision: int) -> None:
        if revision and self.deployment.annotations.get(REVISION) != str(revision):
            self.plan.annotations = {REVISION: str(revision)}

    def _resize(self, target: ReplicaSetView) -> Resize:
        return self._resizes.setdefault(target.name, Resize(target))
