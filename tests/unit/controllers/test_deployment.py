"""Deployments: what a rollout promises, on generated courses of events; names, revisions, scaling, conditions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.client.objects import condition
from moorage.controllers.deployment.revisions import same_template, template_hash
from moorage.controllers.deployment.view import DeploymentView
from tests.unit.controllers.rollouts import Rollout, completed, rollout

REVISION = "deployment.kubernetes.io/revision"
_bounds = st.one_of(st.integers(0, 6), st.integers(0, 100).map(lambda share: f"{share}%"))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 12), _bounds, _bounds, st.integers(0, 10_000), st.integers(1, 3))
def test_a_rollout_never_has_too_many_nor_too_few_pods_and_ends(
    replicas: int, surge: object, unavailable: object, seed: int, versions: int
) -> None:
    """Whatever pods do, however late reports are, and however often the template changes on the way."""
    model = completed(rollout(replicas, surge, unavailable, seed))
    view = DeploymentView(model.document)
    most, least = replicas + view.max_surge, replicas - view.max_unavailable
    assert model.available == replicas
    for version in range(versions):
        model.set_image(f"web:{version + 2}")
        for _ in range(40):
            model.look()
            assert model.told <= most
            assert _lasting(model) >= least
            model.something_happens()
            assert model.available >= least
    completed(model, 200)
    assert sum(each.document["spec"]["replicas"] > 0 for each in model.sets.values()) == 1


def _lasting(model: Rollout) -> int:
    """Pods that are available, less those that ReplicaSets are told to end."""
    return sum(min(each.ready, each.document["spec"]["replicas"]) for each in model.sets.values())


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 20), st.integers(0, 30), st.integers(0, 10_000), st.integers(0, 12))
def test_scaling_in_mid_rollout_keeps_to_the_new_bounds(before: int, after: int, seed: int, steps: int) -> None:
    model = completed(rollout(before, seed=seed))
    model.set_image("web:2")
    for _ in range(steps):
        model.look()
        model.something_happens()
    model.change(replicas=after)
    model.look()
    view = DeploymentView(model.document)
    assert model.told <= (after + view.max_surge if after else 0)
    completed(model, 200)


def test_scaling_is_shared_out_in_proportion() -> None:
    model = completed(rollout(10, 3, 2))
    model.set_image("web:2")
    model.look()
    model.settle(healthy=False)  # 5 new pods that never get ready beside 8 old ones
    model.look()
    model.settle(healthy=False)
    model.look()
    assert [each.document["spec"]["replicas"] for each in model.sets.values()] == [8, 5]
    model.change(replicas=15)
    model.look()
    assert [each.document["spec"]["replicas"] for each in model.sets.values()] == [11, 7]  # kubernetes.io's example


def test_a_percentage_of_nothing_still_lets_one_pod_move() -> None:
    model = rollout(3, "0%", "10%")
    assert (DeploymentView(model.document).max_surge, DeploymentView(model.document).max_unavailable) == (0, 1)


def test_recreate_waits_for_the_last_old_pod() -> None:
    model = completed(rollout(3, strategy={"type": "Recreate"}))
    model.set_image("web:2")
    model.look()
    assert [each.document["spec"]["replicas"] for each in model.sets.values()] == [0]
    assert model.look().create is None
    model.settle()
    plan = model.look()
    assert plan.create is not None
    assert plan.create["spec"]["replicas"] == 3


def test_equal_templates_have_equal_names_and_collisions_another() -> None:
    one = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": []}}
    other = {"spec": {"containers": []}, "metadata": {"labels": {"b": "2", "a": "1"}}}
    assert template_hash(one) == template_hash(other)
    assert template_hash(one, 1) != template_hash(one)
    assert set(template_hash(one)) <= set("bcdfghjklmnpqrstvwxz2456789")
    labelled = {"metadata": {"labels": {"a": "1", "b": "2", "pod-template-hash": "x"}}, "spec": {"containers": []}}
    assert same_template(one, labelled)
    assert not same_template(one, {**one, "spec": {"containers": [{"name": "c"}]}})


def test_revisions_count_up_and_a_rollback_takes_a_new_one() -> None:
    model = completed(rollout(2))
    first = next(iter(model.sets))
    model.set_image("web:2")
    completed(model)
    assert model.document["metadata"]["annotations"][REVISION] == "2"
    model.set_image("web:1")
    completed(model)
    annotations = model.sets[first].document["metadata"]["annotations"]
    assert annotations[REVISION] == model.document["metadata"]["annotations"][REVISION] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert len(model.sets) == 2


def test_history_is_cut_to_its_limit_oldest_first() -> None:
    model = completed(rollout(1, revisionHistoryLimit=2))
    names = list(model.sets)
    for version in range(2, 7):
        model.set_image(f"web:{version}")
        completed(model)
        names.append(list(model.sets)[-1])
    for _ in range(2):
        model.look()
    assert list(model.sets) == names[-3:]


def test_labels_and_annotations_reach_the_new_replica_set_but_kubectls_copy_does_not() -> None:
    model = rollout(1)
    model.document["metadata"]["annotations"] = {
        "team": "blue",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    created = model.look().create
    assert created is not None
    annotations = created["metadata"]["annotations"]
    assert annotations["team"] == "blue"
    assert "kubectl.kubernetes.io/last-applied-configuration" not in annotations
    assert annotations["deployment.kubernetes.io/desired-replicas"] == "1"
    assert annotations["deployment.kubernetes.io/max-replicas"] == "2"
    word = created["metadata"]["labels"]["pod-template-hash"]
    assert created["metadata"]["name"] == f"web-{word}"
    assert created["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": word}
    assert created["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == word


def test_conditions_tell_the_story_in_kubernetes_words() -> None:
    model = rollout(2)
    model.look()
    assert _conditions(model) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetCreated"),
    }
    model.settle(healthy=False)
    model.look()
    assert _conditions(model)["Progressing"] == ("True", "ReplicaSetUpdated")
    completed(model)
    assert _conditions(model) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    name = next(iter(model.sets))
    progressing = condition(model.document, "Progressing")
    assert progressing is not None
    assert progressing["message"] == f'ReplicaSet "{name}" has successfully progressed.'


def test_a_stuck_rollout_passes_its_deadline_and_is_looked_at_then() -> None:
    model = completed(rollout(2))
    model.set_image("web:bad")
    model.look()
    model.settle(healthy=False)
    model.look()
    again = model.look().again
    assert again is not None
    assert again == pytest.approx(601, abs=3)
    model.now += again
    model.look()
    assert _conditions(model)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert _conditions(model)["Available"][0] == "True"
    model.set_image("web:3")
    completed(model)
    assert _conditions(model)["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_pause_and_resume_are_told_and_a_paused_rollout_makes_no_replica_set() -> None:
    model = completed(rollout(2))
    model.change(paused=True)
    model.set_image("web:2")
    assert model.look().create is None
    assert _conditions(model)["Progressing"] == ("Unknown", "DeploymentPaused")
    model.change(paused=False)
    model.look()
    completed(model)
    assert len(model.sets) == 2


def test_a_finished_rollout_is_left_alone() -> None:
    model = completed(rollout(3))
    model.look()
    before = model.document["status"]
    model.now += 86_400
    plan = model.look()
    assert (plan.resize, plan.create, plan.delete, plan.annotations, plan.again) == ([], None, [], {}, None)
    assert plan.status == before


def _conditions(model: Rollout) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in model.document["status"]["conditions"]}
