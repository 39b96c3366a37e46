"""What a terminating namespace says."""

from __future__ import annotations

from moorage.client.objects import timestamp
from moorage.controllers.namespaces.conditions import Remains, conditions

NOW = 1_790_000_000.0


def test_the_conditions_are_kubernetes_and_keep_their_times() -> None:
    first = conditions([], Remains(left={"pods.": 2, "deployments.apps": 1}, finalizers={"a/b": 1}), NOW)
    told = {each["type"]: (each["status"], each["reason"], each["message"]) for each in first}
    assert told["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances",
    )
    assert told["NamespaceFinalizersRemaining"][2] == (
        "Some content in the namespace has finalizers remaining: a/b in 1 resource instances"
    )
    assert told["NamespaceDeletionDiscoveryFailure"] == (
        "False",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    )
    later = conditions(first, Remains(left={"pods.": 1}), NOW + 60)
    times = {each["type"]: each["lastTransitionTime"] for each in later}
    assert times["NamespaceContentRemaining"] == timestamp(NOW)
    assert times["NamespaceFinalizersRemaining"] == timestamp(NOW + 60)


def test_what_is_unknown_is_not_empty() -> None:
    assert Remains().empty
    assert not Remains(discovery_error="down").empty
    assert not Remains(delete_errors=["pods: no"]).empty
    assert not Remains(left={"pods.": 1}).empty
