"""What a personal access token with scopes may be used for: a part of what its owner may."""

from __future__ import annotations

import pytest

from moorage.api.contracts import Attributes, Identity
from moorage_tenants.authentication import scopes
from moorage_tenants.authentication.scopes import EXTRA, for_git, permits, problem, scopes_of

ANN = Identity("ann")


def asked(
    verb: str,
    resource: str = "configmaps",
    namespace: str = "shop",
    *,
    group: str = "",
    subresource: str = "",
    name: str = "",
) -> Attributes:
    return Attributes(ANN, verb, group, resource, subresource, namespace, name)


READS = [asked("get"), asked("list"), asked("watch"), asked("get", "pods", subresource="log")]
WRITES = [asked("create"), asked("update"), asked("patch"), asked("delete"), asked("deletecollection")]
STREAMS = [asked("get", "pods", subresource=name) for name in ("exec", "attach", "portforward", "proxy")]
SECRET = asked("get", "secrets")
REPOSITORY = asked("get", "repositories", group="gitops.moorage.io")
TRANSACTION = Attributes(ANN, "create", "moorage.io", "transactions")
NAMESPACE = asked("get", "namespaces", "", name="shop")


@pytest.mark.parametrize("attributes", [*READS, *WRITES, *STREAMS, SECRET, TRANSACTION])
def test_a_token_without_scopes_is_its_owner(attributes: Attributes) -> None:
    assert permits([], attributes)
    assert permits(["write"], attributes)


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        *((each, True) for each in READS),
        *((each, False) for each in (*WRITES, *STREAMS)),
        (SECRET, False),
        (asked("list", "secrets"), False),
        (Attributes(ANN, "list", "moorage.io", "tokens"), False),
        (TRANSACTION, False),
        (Attributes(ANN, "create", "moorage.io", "batches"), False),
        (Attributes(ANN, "impersonate", resource="users", name="root"), False),
    ],
)
def test_read_reads_and_opens_nothing(attributes: Attributes, allowed: bool) -> None:
    """Not what is secret, and not what acts although its verb is get."""
    assert permits(["read"], attributes) == allowed


@pytest.mark.parametrize("scope", ["git", "git:read"])
def test_a_token_for_git_is_of_no_use_at_the_api(scope: str) -> None:
    assert permits([scope], REPOSITORY)
    for each in (
        *READS,
        *WRITES,
        *STREAMS,
        SECRET,
        TRANSACTION,
        asked("update", "repositories", group="gitops.moorage.io"),
    ):
        assert not permits([scope], each)


@pytest.mark.parametrize("action", [[], ["write"]])
def test_places_are_the_only_ones(action: list[str]) -> None:
    where = [*action, "namespace:shop", "namespace:depot"]
    assert all(permits(where, each) for each in (*READS, *WRITES))
    assert permits(where, asked("create", namespace="depot"))
    assert not permits(where, asked("get", namespace="bank"))
    assert not permits(where, asked("list", namespace=""))
    assert not permits(where, asked("get", "nodes", ""))
    assert permits(where, NAMESPACE)
    assert not permits(where, asked("delete", "namespaces", "", name="shop"))
    assert not permits(where, asked("get", "namespaces", "", name="bank"))
    assert not permits(where, asked("list", "namespaces", ""))


def test_a_place_and_reading_is_reading_there() -> None:
    assert permits(["read", "namespace:shop"], asked("list"))
    assert not permits(["read", "namespace:shop"], asked("create"))
    assert not permits(["read", "namespace:shop"], asked("list", namespace="bank"))


def test_everybody_may_ask_about_themselves_and_look_at_discovery() -> None:
    for name in ("selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"):
        assert permits(["git:read"], Attributes(ANN, "create", "authorization.k8s.io", name))
    assert permits(["read"], Attributes(ANN, "get", path="/apis"))
    assert not permits(["read"], Attributes(ANN, "post", path="/apis"))


@pytest.mark.parametrize(
    ("held", "for_git_host"),
    [
        ((), ()),
        (("write",), ("write",)),
        (("git",), ("write",)),
        (("git", "namespace:shop"), ("namespace:shop", "write")),
        (("git:read",), ("git:read",)),
        (("read",), ("read",)),
        (("namespace:shop",), ("namespace:shop",)),
    ],
)
def test_what_scopes_mean_to_the_git_host(held: tuple[str, ...], for_git_host: tuple[str, ...]) -> None:
    identity = for_git(Identity("ann", extra={EXTRA: held} if held else {}))
    assert identity is not None
    assert tuple(scopes_of(identity)) == for_git_host


@pytest.mark.parametrize(
    "scope", ["", "admin", "Read", "namespace:", "namespace:A", "namespace:../x", "namespace:a b", "git:write"]
)
def test_what_is_no_scope(scope: str) -> None:
    said = problem(scope)
    assert said is not None
    assert "must be one of read, write, git, git:read or namespace:NAME" in said


@pytest.mark.parametrize("scope", [*scopes.ACTIONS, "namespace:shop", "namespace:a-1"])
def test_what_is_a_scope(scope: str) -> None:
    assert problem(scope) is None
