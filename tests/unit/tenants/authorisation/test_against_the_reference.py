"""Whatever roles and bindings there are, a decision is what walking all of them gives; before and after each change."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.api.contracts import Attributes, Identity
from moorage_tenants.authorisation.permissions import Permissions
from moorage_tenants.authorisation.rules import Rule, atoms
from tests.unit.tenants.authorisation import reference
from tests.unit.tenants.authorisation.town import Town

VERBS, GROUPS = ["get", "create", "*"], ["", "apps", "*"]
RESOURCES = ["pods", "pods/log", "*/log", "deployments", "*", "pods/a/b"]
NAMES, NAMESPACES = ["a", "b", ""], ["n1", "n2"]
URLS = ["/a", "/a/*", "/*", "*", "/ab*"]
USERS = ["ann", "bob", "system:serviceaccount:n1:bot", "system:serviceaccount:n2:bot"]
PEOPLE = ["devs", "ops"]


def some(values: list[str], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=2, unique=True).map(tuple)


resource_rules = st.builds(Rule, some(VERBS), some(GROUPS), some(RESOURCES), some(NAMES, 0))
path_rules = st.builds(lambda verbs, urls: Rule(verbs, urls=urls), some(VERBS), some(URLS))
rules = st.lists(st.one_of(resource_rules, path_rules), max_size=4)
questions = st.tuples(
    st.sampled_from(["get", "create", "delete"]),
    st.sampled_from(["", "apps", "x"]),
    st.sampled_from(["pods", "deployments"]),
    st.sampled_from(["", "log", "a/b", "x"]),
    st.sampled_from(["", "a", "c"]),
)


@given(rules, questions)
@settings(max_examples=400)
def test_permissions_are_the_rules(given_: list[Rule], asked: tuple[str, str, str, str, str]) -> None:
    expected = any(reference.rule_allows(rule, *asked) for rule in given_)
    assert Permissions(given_).allows(*asked) == expected


@given(rules, st.sampled_from(["get", "create"]), st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/abc", "/x"]))
@settings(max_examples=300)
def test_paths_are_the_rules(given_: list[Rule], verb: str, path: str) -> None:
    expected = any(reference.rule_allows_path(rule, verb, path) for rule in given_)
    assert Permissions(given_).allows_path(verb, path) == expected


@given(rules, rules)
@settings(max_examples=400)
def test_what_is_missing_is_what_no_rule_covers(held: list[Rule], wanted: list[Rule]) -> None:
    expected = [atom for atom in atoms(wanted) if not reference.covers(held, atom)]
    assert Permissions(held).missing(wanted) == expected


@given(rules, rules, questions)
@settings(max_examples=300)
def test_what_may_be_granted_allows_nothing_new(held: list[Rule], wanted: list[Rule], asked: Any) -> None:
    """The sense of the check for escalation: a role that passes it allows nothing that its writer may not."""
    if not Permissions(held).missing(wanted) and Permissions(wanted).allows(*asked):
        assert Permissions(held).allows(*asked)


def role(name: str, namespace: str, given_: list[Rule], labels: dict[str, str], gathers: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    found: dict[str, Any] = {
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": [rule.document() for rule in given_],
    }
    if gathers and not namespace:
        found["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]}
    return found


roles = st.builds(
    role,
    st.sampled_from(["r1", "r2", "r3"]),
    st.sampled_from(["", "", *NAMESPACES]),
    st.lists(resource_rules, max_size=2),
    st.sampled_from([{}, {"part": "yes"}]),
    st.booleans(),
)
subjects = st.one_of(
    st.builds(lambda name: {"kind": "User", "name": name}, st.sampled_from(USERS)),
    st.builds(lambda name: {"kind": "Group", "name": name}, st.sampled_from(PEOPLE)),
    st.builds(
        lambda home: {"kind": "ServiceAccount", "name": "bot", **home}, st.sampled_from([{}, {"namespace": "n2"}])
    ),
)


def binding(name: str, namespace: str, kind: str, to: str, who: list[dict[str, str]]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"kind": kind if namespace else "ClusterRole", "name": to},
        "subjects": who,
    }


bindings = st.builds(
    binding,
    st.sampled_from(["b1", "b2", "b3"]),
    st.sampled_from(["", *NAMESPACES]),
    st.sampled_from(["Role", "ClusterRole"]),
    st.sampled_from(["r1", "r2", "r3"]),
    st.lists(subjects, max_size=2),
)
steps = st.lists(st.tuples(st.sampled_from(["put", "put", "put", "drop"]), st.one_of(roles, bindings)), max_size=12)


def everything() -> list[tuple[str, tuple[str, ...], str, tuple[str, str, str, str, str]]]:
    return [
        (user, groups, namespace, (verb, group, resource, subresource, name))
        for user in USERS
        for groups in ((), ("devs",))
        for namespace in ("", *NAMESPACES)
        for verb in ("get", "create")
        for group, resource, subresource in (("", "pods", ""), ("", "pods", "log"), ("apps", "deployments", ""))
        for name in ("", "a")
    ]


@given(steps)
@settings(max_examples=60, deadline=None)
def test_decisions_are_the_objects(changes: list[tuple[str, dict[str, Any]]]) -> None:
    async def compare() -> None:
        town, stored = Town(), {}
        for what, document in changes:
            key = document["kind"], document["metadata"].get("namespace", ""), document["metadata"]["name"]
            if what == "put":
                town.put(document)
                stored[key] = document
            elif key in stored:
                town.drop(document)
                del stored[key]
        world = reference.World(
            cluster_roles=[each for each in stored.values() if each["kind"] == "ClusterRole"],
            roles=[each for each in stored.values() if each["kind"] == "Role"],
            bindings=[each for each in stored.values() if each["kind"].endswith("Binding")],
        )
        for user, groups, namespace, asked in everything():
            verb, group, resource, subresource, name = asked
            identity = Identity(user, frozenset(groups))
            attributes = Attributes(identity, verb, group, resource, subresource, namespace, name)
            decision = await town.authorizer.authorise(attributes)
            assert decision.allowed == world.allows(user, groups, namespace, *asked), (attributes, stored)

    asyncio.run(compare())
