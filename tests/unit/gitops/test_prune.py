"""What leaves with a push, and when that needs a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import GroupVersionKind, Kind
from moorage_gitops.host.deploy import prune
from moorage_gitops.host.deploy.live import Live
from moorage_gitops.host.deploy.problems import Refused
from moorage_gitops.host.deploy.prune import PrunePlan


def kind(name: str) -> Kind:
    found = builtin_registry().by_kind(GroupVersionKind("", "v1", name))
    assert found is not None
    return found


CONFIG_MAP, NAMESPACE = kind("ConfigMap"), kind("Namespace")


def live(name: str, *, keep: bool = False, deleting: bool = False, of: Kind = CONFIG_MAP) -> Live:
    return Live(of, "shop" if of.namespaced else "", name, f"uid-{name}", keep, deleting)


LIVE = st.lists(
    st.builds(live, st.sampled_from([f"x{i}" for i in range(12)]), keep=st.booleans(), deleting=st.booleans()),
    unique_by=lambda item: item.key,
)


@given(LIVE, st.sets(st.sampled_from([f"x{i}" for i in range(12)])), st.booleans())
def test_only_what_left_the_tree_and_may_go_is_removed(there: list[Live], wanted: set[str], enabled: bool) -> None:
    desired = {live(name).key for name in wanted}

    plan = prune.plan(there, desired, enabled=enabled)

    for item in plan.remove:
        assert enabled
        assert item.key not in desired
        assert not item.keep
        assert not item.deleting
    accounted = {item.key for item in (*plan.remove, *plan.keep)}
    assert accounted == {item.key for item in there if item.key not in desired and not item.deleting}


def test_a_namespace_goes_after_its_contents() -> None:
    plan = prune.plan([live("a", of=NAMESPACE), live("b")], set(), enabled=True)

    assert [item.name for item in plan.remove] == ["b", "a"]


@pytest.mark.parametrize(
    ("removed", "there", "left", "refused"),
    [
        (0, 0, 0, False),
        (1, 1, 0, True),
        (1, 2, 1, False),
        (10, 11, 1, False),
        (11, 22, 11, False),
        (11, 21, 10, True),
        (100, 250, 150, False),
        (3, 3, 5, False),
    ],
)
def test_large_deletions_need_a_confirmation(removed: int, there: int, left: int, refused: bool) -> None:
    plan = PrunePlan([live(f"x{i}") for i in range(removed)])

    if refused:
        with pytest.raises(Refused) as caught:
            prune.guard(plan, there, left, "web")
        assert f"delete {removed} of the {there} objects of application web" in caught.value.reason
        assert any("-o confirm-prune" in line for line in caught.value.lines)
    else:
        prune.guard(plan, there, left, "web")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Remove\n\nConfirm-Prune: yes\n", True),
        ("Remove\n\nSigned-off-by: a\nconfirm-prune: TRUE", True),
        ("Confirm-Prune: yes", True),
        ("Remove\n\nConfirm-Prune: yes\n\nNot in the last paragraph", False),
        ("Remove\n\nConfirm-Prune: no", False),
        ("Remove\n\nPlease Confirm-Prune: yes", False),
        ("", False),
    ],
)
def test_the_trailer_of_a_commit_confirms(message: str, expected: bool) -> None:
    assert prune.confirmed(message) is expected
