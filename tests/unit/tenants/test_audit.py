from __future__ import annotations

from typing import Any

import pytest

from moorage.api.contracts import Attributes, Decision, Identity
from moorage.store.audit_chain import AuditRecord
from moorage_tenants.audit import TableAuditor
from moorage_tenants.audit.meter import ADDRESS_BURST, BURST, QUIET, LoginMeter, Meter, network

ALICE = Identity("alice", frozenset({"dev", "system:authenticated"}), impersonator="root")
"""Root, acting as alice."""


class ListedChain:
    """Keeps rows in a list."""

    def __init__(self, *committed: str) -> None:
        self.rows: list[AuditRecord] = []
        self._committed = committed

    def record(self, record: AuditRecord) -> None:
        self.rows.append(record)

    def is_committed(self, request_id: str) -> bool:
        return request_id in self._committed


def rows(attributes: Attributes, decision: Decision, *committed: str, **outcome: Any) -> list[AuditRecord]:
    chain = ListedChain(*committed)
    TableAuditor(chain).record(attributes, decision, {"code": 200, "id": "r1", **outcome})
    return chain.rows


POLICY = [
    ("list", "", "pods", "", "alice", False),
    ("get", "", "secrets", "", "alice", True),
    ("list", "", "secrets", "", "system:node:n", True),
    ("get", "other.io", "secrets", "", "alice", False),
    ("get", "", "pods", "log", "alice", True),
    ("get", "moorage.io", "audit", "verify", "alice", True),
    ("list", "moorage.io", "audit", "", "alice", False),
    ("get", "", "pods", "exec", "alice", True),
    ("create", "", "pods", "portforward", "alice", True),
    ("create", "", "serviceaccounts", "token", "alice", True),
    ("patch", "apps", "deployments", "", "alice", True),
    ("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", "alice", False),
    ("create", "moorage.io", "transactions", "", "alice", False),
    ("update", "coordination.k8s.io", "leases", "", "alice", False),
    ("patch", "", "nodes", "status", "system:node:n", False),
    ("patch", "", "nodes", "status", "alice", True),
]


@pytest.mark.parametrize(("verb", "group", "resource", "subresource", "user", "expected"), POLICY)
def test_what_is_allowed_leaves_a_row_where_the_policy_says_so(
    verb: str, group: str, resource: str, subresource: str, user: str, expected: bool
) -> None:
    attributes = Attributes(Identity(user), verb, group, resource, subresource, "ns", "x")
    assert bool(rows(attributes, Decision(True))) == expected


def test_a_refusal_always_leaves_a_row_with_its_reason() -> None:
    attributes = Attributes(ALICE, "list", resource="pods", namespace="ns")
    (row,) = rows(attributes, Decision(False, "no such right"), code=403, source_ip="192.0.2.1", user_agent="x" * 900)
    assert (row.actor, row.verb, row.resource, row.namespace, row.allowed, row.code) == (
        "alice",
        "list",
        "pods",
        "ns",
        False,
        403,
    )
    assert row.detail == {
        "groups": ["dev", "system:authenticated"],
        "impersonator": "root",
        "reason": "no such right",
        "sourceIP": "192.0.2.1",
        "userAgent": "x" * 512,
    }


def test_a_write_that_was_committed_has_its_row_already() -> None:
    attributes = Attributes(ALICE, "create", resource="pods", namespace="ns", document={"data": "canary"})
    assert rows(attributes, Decision(True), "r1") == []
    # One that changed nothing, or that failed for another reason than a right, has it from here.
    (row,) = rows(attributes, Decision(True), "r2", code=409, document={"data": "canary"})
    assert row.code == 409
    assert "canary" not in repr(row)


def test_what_is_done_as_somebody_else_leaves_a_row_with_who_really_did_it() -> None:
    (row,) = rows(Attributes(ALICE, "list", resource="pods", namespace="ns"), Decision(True))
    assert (row.actor, row.detail["impersonator"], row.allowed) == ("alice", "root", True)


def test_what_policies_refuse_after_the_authorizer_allowed_it_is_a_refusal() -> None:
    attributes = Attributes(ALICE, "create", resource="pods", namespace="ns")
    (row,) = rows(attributes, Decision(True), code=403)
    assert (row.allowed, row.code, row.detail["reason"]) == (False, 403, "refused by an admission or a quota")


def test_a_list_that_was_narrowed_instead_of_refused_was_allowed() -> None:
    (row,) = rows(Attributes(ALICE, "list", resource="secrets"), Decision(False, "not all of them"), code=200)
    assert row.allowed
    assert "reason" not in row.detail
    (row,) = rows(Attributes(ALICE, "list", resource="secrets"), Decision(False, "not all of them"), code=0)
    assert not row.allowed


def test_what_came_through_a_commit_names_it() -> None:
    (row,) = rows(
        Attributes(ALICE, "create", resource="repositories"), Decision(True), code=422, source_commit="c0ffee"
    )
    assert (row.source_commit, "source_commit" in row.detail) == ("c0ffee", False)


def test_a_flood_of_refusals_is_counted_instead_of_written() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    assert [meter.take("mallory") for _ in range(int(BURST))] == [0] * int(BURST)
    assert [meter.take("mallory") for _ in range(5)] == [None] * 5
    assert meter.take("alice") == 0
    now += 1.0
    assert meter.take("mallory") == 5
    assert meter.take("mallory") == 0


def test_the_count_goes_with_the_users_next_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("moorage_tenants.audit.auditor.time.monotonic", lambda: now)
    chain = ListedChain()
    auditor = TableAuditor(chain)
    attributes = Attributes(ALICE, "list", resource="pods")
    for _ in range(int(BURST) + 7):
        auditor.record(attributes, Decision(False), {"code": 403})
    assert len(chain.rows) == BURST
    now = 1.0
    auditor.record(attributes, Decision(False), {"code": 403})
    assert chain.rows[-1].detail["refusalsNotShown"] == 7


def test_what_was_kept_back_is_told_although_its_user_never_came_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("moorage_tenants.audit.auditor.time.monotonic", lambda: now)
    chain = ListedChain()
    auditor = TableAuditor(chain)
    for _ in range(int(BURST) + 7):
        auditor.record(Attributes(ALICE, "list", resource="pods"), Decision(False), {"code": 403})
    now = QUIET
    auditor.record(Attributes(Identity("bob"), "get", resource="secrets"), Decision(True), {"code": 200})
    told, read = chain.rows[-2:]
    assert (told.actor, told.verb, told.allowed, told.detail) == ("alice", "refused", False, {"refusalsNotShown": 7})
    assert read.actor == "bob"
    auditor.record(Attributes(Identity("bob"), "get", resource="secrets"), Decision(True), {"code": 200})
    assert [row.verb for row in chain.rows[-2:]] == ["get", "get"]


def test_refused_logins_are_limited_by_address_and_all_together() -> None:
    now = 0.0
    logins = LoginMeter(lambda: now)
    one = [logins.take("192.0.2.1") for _ in range(int(ADDRESS_BURST) + 9)]
    assert one == [0] * int(ADDRESS_BURST) + [None] * 9
    # Neither a new address each time nor an IPv6 network fills the table.
    taken = [logins.take(f"2001:db8::{number:x}") for number in range(100)]
    assert taken.count(0) == ADDRESS_BURST
    many = [logins.take(f"198.51.{number // 250}.{number % 250}") for number in range(5000)]
    assert sum(each is not None for each in many) == BURST - 2 * ADDRESS_BURST
    now = QUIET
    assert list(logins.forgotten()) == [("system:anonymous", 9 + 70 + 5000 - (BURST - 2 * ADDRESS_BURST))]
    assert logins.take("192.0.2.1") == 0


ADDRESSES = [
    ("192.0.2.1", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    ("", ""),
    ("unix", "unix"),
]


@pytest.mark.parametrize(("address", "expected"), ADDRESSES)
def test_one_sender_is_known_by_its_network(address: str, expected: str) -> None:
    assert network(address) == expected
