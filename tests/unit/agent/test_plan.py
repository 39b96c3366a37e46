"""The planner: what a pod needs next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage_agent.engine.contract import State
from moorage_agent.pods.actions import (
    CleanUp,
    CreateSandbox,
    FetchImage,
    Finish,
    Kill,
    PrepareVolumes,
    Remove,
    Resume,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Waiting,
)
from moorage_agent.pods.observed import POD, VOLUMES, Failure, Health, ImageState, Observed, Termination
from moorage_agent.pods.plan import plan
from tests.unit.agent.documents import READY, attempt, container, pod, sandbox, seen

NOW = 1000.0
EXITED = State.EXITED


def test_a_new_pod_gets_sandbox_volumes_and_image_at_the_same_time() -> None:
    result = plan(pod(), Observed(), NOW)
    assert set(result.actions) == {CreateSandbox(0), PrepareVolumes(), FetchImage("c")}


def test_a_container_starts_when_sandbox_volumes_and_image_are_there() -> None:
    assert plan(pod(), seen(), NOW).actions == [StartContainer("c", 0, "sandbox", 0.0)]
    assert plan(pod(), seen(volumes_ready=False, busy=frozenset({VOLUMES})), NOW).actions == []
    assert plan(pod(), seen(images=()), NOW).actions == [FetchImage("c")]
    assert plan(pod(), seen(images=(), sandboxes=(), busy=frozenset({POD})), NOW).actions == [FetchImage("c")]


def test_a_pod_that_runs_needs_nothing() -> None:
    result = plan(pod(), seen(attempt("c")), NOW)
    assert result.actions == []
    assert result.wake_at is None


def test_nothing_is_started_while_something_of_its_name_is_under_way() -> None:
    assert plan(pod(), seen(busy=frozenset({"c"})), NOW).actions == []
    assert plan(pod(), Observed(busy=frozenset({POD, VOLUMES}), images={"c": ImageState()}), NOW).actions == []


def test_what_was_created_and_not_started_is_started() -> None:
    assert plan(pod(), seen(attempt("c", 0, State.CREATED)), NOW).actions == [Resume("c", "c-0")]
    half = Observed(sandboxes=(sandbox(0, State.CREATED),), volumes_ready=True, images={"c": ImageState(True)})
    assert plan(pod(), half, NOW).actions == [StartSandbox("sandbox")]


def test_the_first_restart_is_at_once_and_later_ones_wait() -> None:
    first = attempt("c", 0, EXITED, code=1, finished=NOW - 1)
    assert plan(pod(), seen(first), NOW).actions == [StartContainer("c", 1, "sandbox", 10.0)]
    second = attempt("c", 1, EXITED, code=1, finished=NOW - 1, backoff=10.0, started=NOW - 2)
    result = plan(pod(), seen(second), NOW)
    assert result.actions == []
    message = "back-off 10s restarting failed container=c pod=web_shop(uid-web)"
    assert result.waiting == {"c": Waiting("CrashLoopBackOff", message)}
    assert result.wake_at == NOW + 9
    assert plan(pod(), seen(second), NOW + 9).actions == [StartContainer("c", 2, "sandbox", 20.0)]


def test_a_new_image_forgives_all() -> None:
    crashed = attempt("c", 5, EXITED, code=1, finished=NOW - 1, backoff=300.0, of=container(image="app:0"))
    assert plan(pod(), seen(crashed), NOW).actions == [StartContainer("c", 6, "sandbox", 10.0)]


def test_ten_minutes_of_running_forgive_all() -> None:
    last = attempt("c", 8, EXITED, code=1, finished=NOW, started=NOW - 601, backoff=300.0)
    assert plan(pod(), seen(last), NOW).actions == [StartContainer("c", 9, "sandbox", 10.0)]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("Always", 0, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_restart_policies(policy: str, code: int, again: bool) -> None:
    other = attempt("d")
    result = plan(
        pod(container("c"), container("d"), restartPolicy=policy),
        seen(attempt("c", 0, EXITED, code=code, finished=NOW), other, images=("c", "d")),
        NOW,
    )
    assert bool(result.actions) is again


def test_a_pod_whose_containers_are_done_ends_its_sandbox_then_its_volumes() -> None:
    done = attempt("c", 0, EXITED, finished=NOW)
    whole = pod(restartPolicy="Never")
    assert plan(whole, seen(done), NOW).actions == [StopSandbox("sandbox")]
    stopped = seen(done, sandboxes=(sandbox(0, EXITED),))
    assert plan(whole, stopped, NOW).actions == [CleanUp(containers=False)]
    assert plan(whole, seen(done, sandboxes=(sandbox(0, EXITED),), volumes_ready=False), NOW).actions == []


def test_a_phase_that_the_api_has_recorded_is_final() -> None:
    whole = pod()
    whole["status"] = {"phase": "Failed"}
    assert plan(whole, seen(attempt("c")), NOW).actions == [Kill("c", "c-0", None, "Stopping container c")]
    assert plan(whole, Observed(), NOW).actions == []


def test_init_containers_run_one_after_another() -> None:
    whole = pod(initContainers=[container("one"), container("two")])
    images = ("c", "one", "two")
    assert plan(whole, seen(images=images), NOW).actions == [StartContainer("one", 0, "sandbox", 0.0)]
    assert plan(whole, seen(attempt("one"), images=images), NOW).actions == []
    done = attempt("one", 0, EXITED, finished=NOW)
    assert plan(whole, seen(done, images=images), NOW).actions == [StartContainer("two", 0, "sandbox", 0.0)]
    both = (done, attempt("two", 0, EXITED, finished=NOW))
    assert plan(whole, seen(*both, images=images), NOW).actions == [StartContainer("c", 0, "sandbox", 0.0)]


def test_an_init_container_that_failed_is_tried_again_or_fails_the_pod() -> None:
    failed = attempt("one", 0, EXITED, code=1, finished=NOW)
    again = plan(pod(initContainers=[container("one")]), seen(failed, images=("one",)), NOW)
    assert again.actions == [StartContainer("one", 1, "sandbox", 10.0)]
    never = plan(pod(initContainers=[container("one")], restartPolicy="Never"), seen(failed), NOW)
    assert never.actions == [StopSandbox("sandbox")]


def test_a_sidecar_is_waited_for_until_it_has_started_and_is_started_again() -> None:
    proxy = container("proxy", restartPolicy="Always")
    whole = pod(initContainers=[proxy], restartPolicy="Never")
    images = ("c", "proxy")
    starting = seen(attempt("proxy"), images=images, health={"proxy-0": Health(started=False)})
    assert plan(whole, starting, NOW).actions == []
    started = seen(attempt("proxy"), images=images, health={"proxy-0": Health()})
    assert plan(whole, started, NOW).actions == [StartContainer("c", 0, "sandbox", 0.0)]
    ended = seen(attempt("proxy", 0, EXITED, finished=NOW), attempt("c"), images=images)
    assert plan(whole, ended, NOW).actions == [StartContainer("proxy", 1, "sandbox", 10.0)]


def test_sidecars_end_last_and_in_reverse() -> None:
    """All are told at once, for their preStop hooks; who is stopped when is said by those that come before."""
    whole = pod(initContainers=[container("a", restartPolicy="Always"), container("b", restartPolicy="Always")])
    running = (attempt("a"), attempt("b"), attempt("c"))
    end = Termination(30.0)
    stop = [
        Kill("a", "a-0", 30.0, "Stopping container a", ("c", "b")),
        Kill("b", "b-0", 30.0, "Stopping container b", ("c",)),
        Kill("c", "c-0", 30.0, "Stopping container c"),
    ]
    assert plan(whole, seen(*running, termination=end), NOW).actions == stop
    assert plan(whole, seen(*running, termination=end, busy=frozenset({"c", "a", "b"})), NOW).actions == []


def test_a_hook_after_the_start_holds_up_the_containers_behind() -> None:
    hook = {"postStart": {"exec": {"command": ["wait-for-it"]}}}
    whole = pod(container("c", lifecycle=hook), container("d"))
    images = ("c", "d")
    assert plan(whole, seen(images=images), NOW).actions == [StartContainer("c", 0, "sandbox", 0.0)]
    busy = frozenset({"c"})
    assert plan(whole, seen(images=images, busy=busy), NOW).actions == []
    assert plan(whole, seen(attempt("c"), images=images, starting=busy, busy=busy), NOW).actions == []
    assert plan(whole, seen(attempt("c"), images=images), NOW).actions == [StartContainer("d", 0, "sandbox", 0.0)]
    assert plan(whole, seen(images=("c",)), NOW).actions == [StartContainer("c", 0, "sandbox", 0.0), FetchImage("d")]
    broken = ImageState(failure=Failure("ImagePullBackOff", "no such image", NOW + 5))
    waiting = seen(images=images, failures={})
    waiting = Observed(
        **{**{name: getattr(waiting, name) for name in waiting.__slots__}, "images": {"c": broken, "d": READY}}
    )
    assert plan(whole, waiting, NOW).actions == [StartContainer("d", 0, "sandbox", 0.0)]


def rules(action: str, *codes: int, operator: str = "In") -> Any:
    """``restartPolicyRules`` of one rule."""
    return [{"action": action, "exitCodes": {"operator": operator, "values": list(codes)}}]


@pytest.mark.parametrize(
    ("fields", "code", "again"),
    [
        ({"restartPolicy": "Always"}, 0, True),
        ({"restartPolicy": "OnFailure"}, 0, False),
        ({"restartPolicy": "OnFailure"}, 1, True),
        ({"restartPolicy": "Never", "restartPolicyRules": rules("Restart", 42)}, 42, True),
        ({"restartPolicy": "Never", "restartPolicyRules": rules("Restart", 42)}, 1, False),
        ({"restartPolicy": "Never", "restartPolicyRules": rules("Restart", 42, operator="NotIn")}, 1, True),
    ],
)
def test_a_containers_own_policy_and_rules_stand_before_the_pods(fields: Any, code: int, again: bool) -> None:
    ended = attempt("c", 0, EXITED, code=code, finished=NOW)
    result = plan(pod(container("c", **fields), restartPolicy="Never"), seen(ended), NOW)
    assert result.actions == ([StartContainer("c", 1, "sandbox", 10.0)] if again else [StopSandbox("sandbox")])


def test_an_init_container_of_its_own_policy_never_fails_a_pod_that_is_always_restarted() -> None:
    failed = attempt("one", 0, EXITED, code=1, finished=NOW)
    whole = pod(initContainers=[container("one", restartPolicy="Never")])
    assert plan(whole, seen(failed), NOW).actions == [StopSandbox("sandbox")]


def test_an_exit_may_start_all_containers_anew() -> None:
    watcher = container("w", restartPolicy="Never", restartPolicyRules=rules("RestartAllContainers", 88))
    whole = pod(container("c"), watcher, initContainers=[container("one")], restartPolicy="Never")
    images = ("c", "w", "one")
    done = attempt("one", 0, EXITED, finished=NOW - 50)
    asked = attempt("w", 0, EXITED, code=88, finished=NOW - 1)
    first = plan(whole, seen(done, attempt("c"), asked, images=images), NOW)
    assert first.actions == [Kill("c", "c-0", 0.0, "Restarting all containers")]
    ended = attempt("c", 0, EXITED, code=137, finished=NOW)
    then = plan(whole, seen(done, ended, asked, images=images), NOW)
    assert then.actions == [StartContainer("one", 1, "sandbox", 10.0)]
    again = attempt("one", 1, EXITED, started=NOW, finished=NOW)
    both = plan(whole, seen(done, again, ended, asked, images=images), NOW)
    assert both.actions[:2] == [StartContainer("c", 1, "sandbox", 10.0), StartContainer("w", 1, "sandbox", 10.0)]
    new = (attempt("c", 1, started=NOW), attempt("w", 1, started=NOW))
    runs = plan(whole, seen(done, again, ended, asked, *new, images=images), NOW)
    assert [type(one) for one in runs.actions] == [Remove]


def test_a_deleted_pod_is_cleaned_up_and_then_finished() -> None:
    end = Termination(0.0)
    ended = attempt("c", 0, EXITED, finished=NOW)
    assert plan(pod(), seen(ended, termination=end), NOW).actions == [CleanUp(containers=True)]
    assert plan(pod(), Observed(termination=end, cleaned=True), NOW).actions == [Finish()]
    assert plan(pod(), Observed(termination=Termination(0.0, gone=True), cleaned=True), NOW).actions == []


def test_a_dead_sandbox_ends_the_containers_and_gets_a_successor() -> None:
    dead = (sandbox(0, EXITED),)
    stop = Kill("c", "c-0", None, "Stopping container c")
    assert plan(pod(), seen(attempt("c"), sandboxes=dead), NOW).actions == [stop]
    ended = attempt("c", 0, EXITED, code=137, finished=NOW)
    assert CreateSandbox(1) in plan(pod(), seen(ended, sandboxes=dead), NOW).actions
    assert CreateSandbox(1) not in plan(pod(), seen(ended, sandboxes=dead, busy=frozenset({"c"})), NOW).actions


def test_a_new_image_and_a_failed_probe_replace_the_container() -> None:
    old = attempt("c", of=container("c", image="app:0"))
    assert plan(pod(), seen(old), NOW).actions == [
        Kill("c", "c-0", None, "Container c definition changed, will be restarted")
    ]
    probe = {"livenessProbe": {"terminationGracePeriodSeconds": 3}}
    sick = seen(attempt("c"), health={"c-0": Health(unhealthy="liveness")})
    expected = Kill("c", "c-0", 3, "Container c failed liveness probe, will be restarted")
    assert plan(pod(container("c", **probe)), sick, NOW).actions == [expected]


def test_the_deadline_ends_the_pod() -> None:
    deadline = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    whole = pod(activeDeadlineSeconds=60, restartPolicy="Never")
    assert plan(whole, seen(attempt("c"), start_time=NOW - 59), NOW).wake_at == NOW + 1
    late = plan(whole, seen(attempt("c"), start_time=NOW - 60), NOW)
    assert late.failed == deadline
    assert [type(one) for one in late.actions] == [Kill]
    obeyed = attempt("c", 0, EXITED, code=0, finished=NOW)
    assert plan(whole, seen(obeyed, start_time=NOW - 60), NOW).failed == deadline
    in_time = attempt("c", 0, EXITED, code=0, finished=NOW - 1)
    assert plan(whole, seen(in_time, start_time=NOW - 60), NOW).failed is None


def test_failures_are_shown_and_tried_again_in_time() -> None:
    failure = Failure("CreateContainerConfigError", 'configmap "x" not found', NOW + 5)
    result = plan(pod(), seen(failures={"c": failure}), NOW)
    assert result.actions == []
    assert result.waiting == {"c": Waiting("CreateContainerConfigError", 'configmap "x" not found')}
    assert result.wake_at == NOW + 5
    assert plan(pod(), seen(failures={"c": failure}), NOW + 5).actions == [StartContainer("c", 0, "sandbox", 0.0)]


def test_old_starts_are_removed_but_the_one_before() -> None:
    starts = [attempt("c", number, EXITED, code=1, finished=NOW - 500) for number in range(3)]
    assert plan(pod(), seen(*starts, attempt("c", 3)), NOW).actions == [Remove("c", "c-0")]
    assert plan(pod(), seen(starts[2], attempt("c", 3)), NOW).actions == []


def test_the_restart_count_goes_on_where_containers_were_removed_by_hand() -> None:
    whole = pod()
    whole["status"]["containerStatuses"] = [{"name": "c", "containerID": "docker://x", "restartCount": 4}]
    assert plan(whole, seen(), NOW).actions == [StartContainer("c", 5, "sandbox", 0.0)]


STATES = st.sampled_from(list(State))
NAMES = ("init", "proxy", "c", "d")


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    """Anything that might be found on an engine, sensible or not."""
    attempts: dict[str, Any] = {}
    for name in NAMES:
        several = draw(
            st.lists(st.tuples(STATES, st.sampled_from(["sandbox", "sandbox-1"]), st.integers(0, 2)), max_size=3)
        )
        if several:
            attempts[name] = tuple(
                attempt(
                    name,
                    number,
                    state,
                    sandbox=joined,
                    code=code,
                    finished=NOW - draw(st.integers(0, 30)),
                    backoff=10.0,
                )
                for number, (state, joined, code) in enumerate(several)
            )
    return Observed(
        sandboxes=tuple(sandbox(number, draw(STATES)) for number in range(draw(st.integers(0, 2)))),
        attempts=attempts,
        busy=frozenset(draw(st.sets(st.sampled_from((*NAMES, POD, VOLUMES))))),
        volumes_ready=draw(st.booleans()),
        images={name: ImageState(True) for name in draw(st.sets(st.sampled_from(NAMES)))},
        health={f"{name}-{number}": Health(draw(st.booleans())) for name in NAMES for number in range(3)},
        termination=draw(st.sampled_from([None, None, Termination(1.0), Termination(1.0, gone=True)])),
        start_time=NOW - 10,
        cleaned=draw(st.booleans()),
        starting=frozenset(draw(st.sets(st.sampled_from(NAMES)))),
    )


@given(observations(), st.sampled_from(["Always", "OnFailure", "Never"]))
def test_never_two_containers_of_a_name(found: Observed, policy: str) -> None:
    again = {"restartPolicy": "Never", "restartPolicyRules": rules("RestartAllContainers", 2)}
    whole = pod(
        container("c", lifecycle={"postStart": {"exec": {"command": ["x"]}}}),
        container("d", **again),
        initContainers=[container("init"), container("proxy", restartPolicy="Always")],
        restartPolicy=policy,
    )
    result = plan(whole, found, NOW)
    touched = [one.name for one in result.actions if isinstance(one, StartContainer | Resume | Kill | Remove)]
    assert len(touched) == len(set(touched))
    for action in result.actions:
        if isinstance(action, StartContainer | Resume | Kill | Remove):
            assert action.name not in found.busy
        if isinstance(action, StartContainer):
            starts = found.attempts.get(action.name, ())
            assert not any(one.running for one in starts)
            assert all(one.attempt < action.attempt for one in starts)
            assert action.sandbox == found.sandbox_id() != ""
            assert found.termination is None
        if isinstance(action, CreateSandbox):
            assert found.sandbox() is None
            assert not found.running()
            assert not found.busy - {VOLUMES}
        if isinstance(action, CleanUp | Finish):
            assert not found.busy
            assert not found.running()


@given(observations())
def test_an_end_always_comes_to_an_end(found: Observed) -> None:
    """Whatever is found, a pod that must end has something to do or something to wait for until it is finished."""
    whole = pod(
        container("c"), container("d"), initContainers=[container("init"), container("proxy", restartPolicy="Always")]
    )
    ending = Observed(**{**{name: getattr(found, name) for name in found.__slots__}, "termination": Termination(1.0)})
    assert plan(whole, ending, NOW).actions or ending.busy
