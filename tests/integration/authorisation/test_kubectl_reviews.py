"""Reviews made with ``kubectl create -f``, validated as every file is, and ``kubectl --as`` with all that it can say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.authorisation.documents import binding, collection, role, rule, user
from tests.integration.authorisation.test_kubectl import Hands
from tests.support.access import RunningAccess

ADMIN = "admin-token"
PODS = {"verb": "list", "resource": "pods", "namespace": "default"}
AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io/v1", "authentication.k8s.io/v1"


def review(kind: str, spec: Any, api_version: str = AUTHORIZATION, **metadata: str) -> str:
    """A file's text."""
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})


async def answered(hands: Hands, text: str) -> dict[str, Any]:
    """The status of a review that kubectl made."""
    document = json.loads(await hands("create", "-f", "-", "-o", "json", stdin=text))
    status: dict[str, Any] = document["status"]
    return status


async def test_reviews_from_files(access: RunningAccess, tmp_path: Path) -> None:
    given = binding("ann", "ClusterRole/view", user("ann"), namespace="default")
    assert (await access.call(ADMIN, "POST", collection(given), given))[0] == 201
    admin, ann = Hands(access, tmp_path, ADMIN), Hands(access, tmp_path, "ann")
    question = {"resourceAttributes": PODS}
    assert (await answered(ann, review("SelfSubjectAccessReview", question)))["allowed"]
    about_ann = {**question, "user": "ann"}
    assert (await answered(admin, review("SubjectAccessReview", about_ann)))["allowed"]
    assert (await answered(admin, review("LocalSubjectAccessReview", about_ann, namespace="default")))["allowed"]
    assert not (await answered(admin, review("SubjectAccessReview", {**question, "user": "bob"})))["allowed"]
    rules = await answered(ann, review("SelfSubjectRulesReview", {"namespace": "default"}))
    assert not rules["incomplete"]
    assert any("pods" in each["resources"] and "list" in each["verbs"] for each in rules["resourceRules"])
    who = await answered(ann, json.dumps({"apiVersion": AUTHENTICATION, "kind": "SelfSubjectReview"}))
    assert who["userInfo"] == {"username": "ann", "groups": ["system:authenticated"]}

    # It is validated: kubectl tells of what the published definition does not have.
    file = tmp_path / "review.json"
    file.write_text(review("SelfSubjectAccessReview", {**question, "colour": "blue"}))
    refused = await ann.attempt("create", "-f", str(file))
    assert refused.code == 1
    assert 'unknown field "colour"' in refused.err


async def test_acting_as_somebody(access: RunningAccess, tmp_path: Path) -> None:
    may = role(
        "as-bob",
        rule("impersonate", "core", "users", "bob"),
        rule("impersonate", "core", "groups", "devs"),
        rule("impersonate", "authentication.k8s.io", "uids", "7"),
        rule("impersonate", "authentication.k8s.io", "userextras/reason", "on-call"),
    )
    for document in (may, binding("as-bob", "ClusterRole/as-bob", user("ann"))):
        assert (await access.call(ADMIN, "POST", collection(document), document))[0] == 201
    ann = Hands(access, tmp_path, "ann")
    whole = ("--as", "bob", "--as-group", "devs", "--as-uid", "7", "--as-user-extra", "reason=on-call")
    shown = json.loads(await ann("auth", "whoami", "-o", "json", *whole))["status"]["userInfo"]
    assert shown == {
        "username": "bob",
        "uid": "7",
        "groups": ["devs", "system:authenticated"],
        "extra": {"reason": ["on-call"]},
    }
    for flag, value, what in (
        ("--as-group", "ops", 'resource "groups"'),
        ("--as-uid", "8", 'resource "uids"'),
        ("--as-user-extra", "reason=curious", 'resource "userextras/reason"'),
        ("--as-user-extra", "other=a", 'resource "userextras/other"'),
    ):
        refused = await ann.attempt("auth", "can-i", "list", "pods", "--as", "bob", flag, value)
        assert (refused.code, f"cannot impersonate {what}" in refused.err) == (1, True), refused
    assert "cannot impersonate" in (await ann.attempt("auth", "can-i", "list", "pods", "--as", "eve")).err
