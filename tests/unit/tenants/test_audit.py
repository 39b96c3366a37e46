from __future__ import annotations

from typing import Any

import pytest

from moorage.api.contracts import Attributes, Decision, Identity
from moorage.store.audit_chain import AuditRecord
from moorage_tenants.audit import TableAuditor
from moorage_tenants.audit.meter import BURST, Meter

ALICE = Identity("alice", frozenset({"dev", "system:authenticated"}), impersonator="root")


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
    ("get", "", "pods", "log", "alice", False),
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


def test_a_watch_of_secrets_is_told_of_when_it_begins_and_not_again_when_it_ends() -> None:
    attributes = Attributes(ALICE, "watch", resource="secrets", namespace="ns")
    (row,) = rows(attributes, Decision(True), stage="started")
    assert row.detail["stage"] == "started"
    assert rows(attributes, Decision(True)) == []


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
