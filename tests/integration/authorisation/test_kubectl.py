"""``kubectl auth`` and friends, as people use them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import yaml

from tests.support.access import RunningAccess
from tests.support.kubectl import Kubectl, Result


class Hands:
    """kubectl as somebody, beside the server's event loop."""

    def __init__(self, access: RunningAccess, folder: Path, token: str) -> None:
        home = folder / token.replace(":", "_")
        home.mkdir()
        config = home / "config"
        config.write_text(json.dumps(access.api.kubeconfig(token)))
        self.kubectl = Kubectl(config, home)

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(self.kubectl, *arguments, stdin=stdin)

    async def attempt(self, *arguments: str) -> Result:
        return await asyncio.to_thread(self.kubectl.attempt, *arguments)


async def test_making_and_asking(access: RunningAccess, tmp_path: Path) -> None:
    admin, ann = Hands(access, tmp_path, "admin-token"), Hands(access, tmp_path, "ann+devs")
    made = await admin("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,deployments.apps")
    assert made == "role.rbac.authorization.k8s.io/reader created"
    await admin("create", "rolebinding", "devs", "--role=reader", "--group=devs", "--serviceaccount=default:bot")
    await admin("create", "clusterrole", "metrics", "--verb=get", "--non-resource-url=/metrics")
    await admin("create", "clusterrolebinding", "metrics", "--clusterrole=metrics", "--user=ann")

    assert await ann("auth", "can-i", "list", "pods") == "yes"
    assert await ann("auth", "can-i", "list", "deployments.apps") == "yes"
    assert await ann("auth", "can-i", "get", "/metrics") == "yes"
    refused = await ann.attempt("auth", "can-i", "create", "pods")
    assert (refused.code, refused.out) == (1, "no")
    assert (await ann.attempt("auth", "can-i", "list", "pods", "-n", "kube-system")).out == "no"
    assert (await ann.attempt("auth", "can-i", "get", "pods", "--subresource=log")).out == "no"
    as_bob = await ann.attempt("auth", "can-i", "list", "pods", "--as", "bob")
    assert 'User "ann" cannot impersonate resource "users"' in as_bob.err
    assert await admin("auth", "can-i", "list", "pods", "--as", "bob", "--as-group", "devs") == "yes"
    bot = "system:serviceaccount:default:bot"
    assert await admin("auth", "can-i", "list", "pods", "--as", bot) == "yes"

    listed = (await ann("auth", "can-i", "--list")).splitlines()
    assert listed[0].split() == ["Resources", "Non-Resource", "URLs", "Resource", "Names", "Verbs"]
    rows = [line.split() for line in listed[1:]]
    assert ["pods", "[]", "[]", "[get", "list", "watch]"] in rows
    assert ["deployments.apps", "[]", "[]", "[get", "list", "watch]"] in rows
    assert any("[/metrics]" in row for row in rows)
    everything = await admin("auth", "can-i", "--list")
    assert "*.*" in everything

    who = await ann("auth", "whoami")
    assert "ann" in who
    assert "[devs system:authenticated]" in who


async def test_how_roles_are_shown(access: RunningAccess, tmp_path: Path) -> None:
    admin = Hands(access, tmp_path, "admin-token")
    await admin("create", "role", "reader", "--verb=get", "--resource=pods")
    await admin(
        "create", "rolebinding", "many", "--role=reader", "--user=ann", "--group=devs", "--serviceaccount=default:bot"
    )
    assert (await admin("get", "roles")).splitlines()[0].split() == ["NAME", "CREATED", "AT"]
    assert (await admin("get", "clusterroles", "view")).splitlines()[1].startswith("view ")
    lines = (await admin("get", "rolebindings", "-o", "wide")).splitlines()
    assert lines[0].split() == ["NAME", "ROLE", "AGE", "USERS", "GROUPS", "SERVICEACCOUNTS"]
    assert lines[1].split()[:2] == ["many", "Role/reader"]
    assert lines[1].split()[3:] == ["ann", "devs", "default/bot"]
    described = await admin("describe", "rolebinding", "many")
    assert "ServiceAccount  bot   default" in described
    assert "pods       []                 []              [get]" in await admin("describe", "role", "reader")


async def test_reconcile(access: RunningAccess, tmp_path: Path) -> None:
    admin = Hands(access, tmp_path, "admin-token")
    await admin("create", "clusterrole", "mine", "--verb=get", "--resource=pods")
    await admin("create", "clusterrolebinding", "mine", "--clusterrole=mine", "--user=ann")
    group = "rbac.authorization.k8s.io"
    wanted = [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "mine"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "mine"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "devs"}],
        },
    ]
    file = tmp_path / "rbac.yaml"
    file.write_text(yaml.safe_dump_all(wanted))
    said = await admin("auth", "reconcile", "-f", str(file))
    assert f"clusterrole.{group}/mine reconciled" in said
    assert f"clusterrolebinding.{group}/mine reconciled" in said
    role = json.loads(await admin("get", "clusterrole", "mine", "-o", "json"))
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list"}
    bound = json.loads(await admin("get", "clusterrolebinding", "mine", "-o", "json"))
    assert bound["roleRef"]["name"] == "edit"
    assert {subject["name"] for subject in bound["subjects"]} == {"devs"}
    again = await admin("auth", "reconcile", "-f", str(file))
    assert "added" not in again
