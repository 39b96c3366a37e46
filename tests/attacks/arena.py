"""Two tenants on one installation: ``victim`` keeps something worth having, ``attacker`` has all that a tenant's owner may have.

The attacker holds: ownership of its tenant, a token, a service account's token, and the credential of a node of its own.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.attacks.caller import Caller, base64_of
from tests.support.installation import Installation
from tests.support.rest import Answer, Document
from tests.support.wait import until

NAMESPACES = "/api/v1/namespaces"
TENANTS = "/apis/tenancy.moorage.io/v1/tenants"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
TOKENS = "/apis/moorage.io/v1/tokens"
NODE_CREDENTIALS = "/apis/moorage.io/v1/nodecredentials"
NOWHERE = {"moorage.example/nowhere": "true"}
"""A node selector that no node meets."""


@dataclass
class Side:
    """A tenant: its owner, and a namespace of its."""

    tenant: str
    owner: str
    namespace: str
    caller: Caller

    def at(self, plural: str, name: str = "", group: str = "") -> str:
        """The path of a collection in the namespace, or of an object."""
        prefix = f"/apis/{group}" if group else "/api/v1"
        return f"{prefix}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")


@dataclass
class Arena:
    """The installation and all who take part. ``canary`` is the value of the victim's Secret ``db``."""

    installation: Installation
    admin: Caller
    victim: Side
    attacker: Side
    canary: str
    robot: Caller
    node: Caller
    node_name: str

    def token(self, **spec: object) -> str:
        """A token that an administrator makes."""
        document = {"apiVersion": "moorage.io/v1", "kind": "Token", "spec": spec}
        made: str = self.admin.create(TOKENS, document)["status"]["token"]
        return made

    def as_(self, token: str) -> Caller:
        """Somebody with another token."""
        return self.admin.with_token(token)

    @property
    def mallory(self) -> Caller:
        """The attacking tenant's owner."""
        return self.attacker.caller


def pod(name: str, **spec: object) -> Document:
    """A Pod that stays pending."""
    container = {"name": "main", "image": "registry.example.com/app:1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "nodeSelector": NOWHERE, **spec},
    }


def config_map(name: str, namespace: str = "", **data: str) -> Document:
    """A ConfigMap."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def secret(name: str, **data: str) -> Document:
    """A Secret of plain texts."""
    values = {key: base64_of(value) for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": values}


def transaction(*operations: Document, kind: str = "Transaction") -> Document:
    """A Transaction of ``operations``, or a Batch."""
    return {"apiVersion": "moorage.io/v1", "kind": kind, "spec": {"operations": list(operations)}}


@contextmanager
def set_up(installation: Installation, family: str) -> Iterator[Arena]:
    """Both tenants, named after the ``family`` of attacks."""
    admin = Caller(installation.url, installation.data_dir / "pki" / "ca.crt", installation.token())
    arena = Arena(
        installation,
        admin,
        victim=_side(admin, f"{family}-victim", f"vera-{family}", "shop"),
        attacker=_side(admin, f"{family}-attacker", f"mallory-{family}", "lab"),
        canary=f"canary-{secrets.token_hex(16)}",
        robot=admin,
        node=admin,
        node_name=f"{family}-attackers-node",
    )
    _furnish(arena)
    arena.node = admin.with_token(join(arena, arena.node_name))
    arena.robot = admin.with_token(_account_token(arena.attacker, "robot"))
    try:
        yield arena
    finally:
        _tear_down(arena)


def join(arena: Arena, name: str) -> str:
    """The credential of a node ``name`` which joins now."""
    joining = arena.as_(arena.token(node=name))
    credential = secrets.token_urlsafe(32)
    wanted = {"sha256": hashlib.sha256(credential.encode()).hexdigest()}
    joining.create(NODE_CREDENTIALS, {"apiVersion": "moorage.io/v1", "kind": "NodeCredential", "spec": wanted})
    return credential


def _side(admin: Caller, tenant: str, owner: str, place: str) -> Side:
    spec = {"owners": [{"kind": "User", "name": owner}]}
    document = {"apiVersion": "tenancy.moorage.io/v1", "kind": "Tenant", "metadata": {"name": tenant}, "spec": spec}
    admin.create(TENANTS, document)
    token = {"apiVersion": "moorage.io/v1", "kind": "Token", "spec": {"user": owner}}
    caller = admin.with_token(admin.create(TOKENS, token)["status"]["token"])
    namespace = f"{tenant}-{place}"
    caller.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    return Side(tenant, owner, namespace, caller)


def _furnish(arena: Arena) -> None:
    """What the victim has."""
    victim = arena.victim
    vera = victim.caller
    vera.create(victim.at("secrets"), secret("db", password=arena.canary))
    vera.create(victim.at("configmaps"), config_map("settings", note=arena.canary))
    vera.create(victim.at("pods"), pod("web"))
    vera.create(victim.at("serviceaccounts"), {"metadata": {"name": "deployer"}})


def _account_token(side: Side, name: str) -> str:
    side.caller.create(side.at("serviceaccounts"), {"metadata": {"name": name}})
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made: str = side.caller.create(side.at("serviceaccounts", f"{name}/token"), asked)["status"]["token"]
    return made


def _tear_down(arena: Arena) -> None:
    """Namespaces and tenants go; nobody waits for it."""
    for side in (arena.attacker, arena.victim):
        for item in arena.admin.get(NAMESPACES, labelSelector=f"tenancy.moorage.io/tenant={side.tenant}")["items"]:
            arena.admin.send("DELETE", f"{NAMESPACES}/{item['metadata']['name']}")
        side.caller.close()
    arena.admin.send("DELETE", f"/api/v1/nodes/{arena.node_name}")
    for caller in (arena.admin, arena.robot, arena.node):
        caller.close()


async def deleted(caller: Caller, path: str) -> None:
    """Delete an object and wait until it is gone."""
    caller.send("DELETE", path)
    await until(lambda: caller.send("GET", path).code == 404)


def silent(arena: Arena, answer: Answer) -> Answer:
    """The answer, which tells nothing of the victim's."""
    assert arena.canary not in answer.text
    assert base64_of(arena.canary) not in answer.text
    return answer
