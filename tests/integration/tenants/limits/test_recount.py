"""What quotas say is used is what is there, whatever was done: random operations of every form, then everything counted anew."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from moorage_tenants.limits.charging import ObjectCharger
from moorage_tenants.limits.classes import matches
from tests.integration.tenants.tenancy.rig import NAMESPACES, TENANTS, Rig, namespace, running
from tests.support.certificates import Certificates

Document = dict[str, Any]
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TENANT_LABEL = "tenancy.moorage.io/tenant"
SPACES = ("one", "two", "three")
TEAMS = ("blue", "green")
ADMIN = "admin-token"
STEPS = 120
LOOK = 20
"""Operations between two counts."""


@pytest.fixture
async def rig(database_url: str, certificates: Certificates) -> AsyncIterator[Rig]:
    async with running(database_url, certificates) as started:
        yield started


class Crowd:
    """Does random things, and lets them be refused."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self._rig = rig
        self._random = random.Random(seed)
        self.codes: Counter[tuple[str, int]] = Counter()
        self._number = 0

    async def prepare(self) -> None:
        """Two tenants with quotas, three namespaces."""
        for team in TEAMS:
            hard = {
                "pods": "6",
                "requests.cpu": "4",
                "count/configmaps": "9",
                "services.nodeports": "3",
                "namespaces": "3",
            }
            await self._rig.tenant(team, quota={"hard": hard}, serviceTypes={"allowed": ["ClusterIP", "NodePort"]})
        for space, team in zip(SPACES, ("blue", "green", ""), strict=True):
            labels = {TENANT_LABEL: team} if team else {}
            await self._rig.ok(ADMIN, "POST", NAMESPACES, namespace(space, labels=labels))

    async def act(self) -> None:
        """One random operation."""
        choices: tuple[Callable[[], Awaitable[int]], ...] = (
            self._make_pod, self._make_pod, self._make_pod, self._delete_pod, self._delete_pod, self._bind, self._finish,
            self._resize, self._make_service, self._change_service, self._apply_map, self._apply_map, self._replace_map,
            self._delete_maps, self._transact, self._transact, self._move, self._set_quota, self._set_quota,
            self._drop_quota, self._limit_tenant, self._claim, self._delete_namespace,
        )  # fmt: skip
        chosen = self._random.choice(choices)
        code = await chosen()
        assert code < 500, f"{chosen.__name__}: {code}"
        self.codes[chosen.__name__.strip("_"), code] += 1

    async def _send(self, method: str, path: str, body: Any = None, content: str = "application/json") -> int:
        return (await self._rig.send(ADMIN, method, path, body, content))[0]

    def _space(self) -> str:
        return f"{NAMESPACES}/{self._random.choice(SPACES)}"

    def _name(self) -> str:
        return f"x{self._random.randrange(8)}"

    def _pod(self, name: str) -> Document:
        requests = {"cpu": self._random.choice(("100m", "500m", "1", "1500m"))} if self._random.random() < 0.8 else {}
        spec: Document = {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}
        if self._random.random() < 0.3:
            spec["activeDeadlineSeconds"] = 60
        if self._random.random() < 0.3:
            spec |= {"priorityClassName": "high", "priority": 5}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}

    async def _make_pod(self) -> int:
        return await self._send("POST", f"{self._space()}/pods", self._pod(self._name()))

    async def _delete_pod(self) -> int:
        query = self._random.choice(("", "?gracePeriodSeconds=0", "?gracePeriodSeconds=30", "?dryRun=All"))
        return await self._send("DELETE", f"{self._space()}/pods/{self._name()}{query}")

    async def _bind(self) -> int:
        name = self._name()
        body = {"metadata": {"name": name}, "target": {"name": "n1"}}
        return await self._send("POST", f"{self._space()}/pods/{name}/binding", body)

    async def _finish(self) -> int:
        phase = self._random.choice(("Running", "Succeeded", "Failed"))
        return await self._send(
            "PATCH", f"{self._space()}/pods/{self._name()}/status", {"status": {"phase": phase}}, MERGE
        )

    async def _resize(self) -> int:
        cpu = self._random.choice(("50m", "1", "2"))
        body = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}}
        return await self._send("PATCH", f"{self._space()}/pods/{self._name()}/resize", body, STRATEGIC)

    def _service(self) -> Document:
        kind = self._random.choice(("ClusterIP", "NodePort", "NodePort"))
        ports = [{"name": f"p{number}", "port": 80 + number} for number in range(self._random.randint(1, 2))]
        return {"apiVersion": "v1", "kind": "Service", "spec": {"type": kind, "ports": ports}}

    async def _make_service(self) -> int:
        return await self._send(
            "POST", f"{self._space()}/services", {**self._service(), "metadata": {"name": self._name()}}
        )

    async def _change_service(self) -> int:
        return await self._send("PATCH", f"{self._space()}/services/{self._name()}", self._service(), MERGE)

    async def _apply_map(self) -> int:
        name = self._name()
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": self._name()}}
        return await self._send("PATCH", f"{self._space()}/configmaps/{name}?fieldManager=me&force=true", body, APPLY)

    async def _replace_map(self) -> int:
        name = self._name()
        return await self._send(
            "PUT", f"{self._space()}/configmaps/{name}", {"metadata": {"name": name}, "data": {"b": "1"}}
        )

    async def _delete_maps(self) -> int:
        return await self._send("DELETE", f"{self._space()}/{self._random.choice(('configmaps', 'services', 'pods'))}")

    async def _transact(self) -> int:
        """Several at once, of which one may be refused: then none is there."""
        operations: list[Document] = []
        for _ in range(self._random.randint(2, 5)):
            space, self._number = self._random.choice(SPACES), self._number + 1
            name = f"t{self._number}" if self._random.random() < 0.7 else self._name()
            body: Document = (
                self._pod(name) if self._random.random() < 0.4 else {"apiVersion": "v1", "kind": "ConfigMap"}
            )
            body["metadata"] = {"name": name, "namespace": space}
            operations.append({"verb": "create", "object": body})
        if self._random.random() < 0.5:
            gone = {"apiVersion": "v1", "kind": "Pod", "namespace": self._random.choice(SPACES), "name": self._name()}
            operations.insert(0, {"verb": "delete", **gone, "gracePeriodSeconds": 0})
        sort = self._random.choice(("Transaction", "Batch"))
        document = {"apiVersion": "moorage.io/v1", "kind": sort, "spec": {"operations": operations}}
        path = "transactions" if sort == "Transaction" else "batches"
        return await self._send("POST", f"/apis/moorage.io/v1/{path}", document)

    async def _move(self) -> int:
        """A namespace goes to another tenant, or to none, with all that is in it."""
        team = self._random.choice((*TEAMS, None))
        return await self._send("PATCH", self._space(), {"metadata": {"labels": {TENANT_LABEL: team}}}, MERGE)

    async def _set_quota(self) -> int:
        spec: Document = {"hard": {"pods": str(self._random.randint(0, 5)), "requests.cpu": "3"}}
        match self._random.randrange(5):
            case 0:
                spec["scopes"] = ["NotTerminating"]
            case 1:
                spec = {"hard": {"pods": "3"}, "scopes": ["BestEffort"]}
            case 2:
                wanted = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
                spec["scopeSelector"] = {"matchExpressions": [wanted]}
            case 3:
                spec["hard"] |= {"count/configmaps": "4", "services": "2", "requests.storage": "5Gi"}
        name, space = f"q{self._random.randrange(3)}", self._space()
        code = await self._send("POST", f"{space}/resourcequotas", {"metadata": {"name": name}, "spec": spec})
        if code != 409:
            return code
        hard = {"spec": {"hard": {"pods": str(self._random.randint(0, 6)), "count/secrets": "1"}}}
        return await self._send("PATCH", f"{space}/resourcequotas/{name}", hard, MERGE)

    async def _drop_quota(self) -> int:
        return await self._send("DELETE", f"{self._space()}/resourcequotas/q{self._random.randrange(3)}")

    async def _limit_tenant(self) -> int:
        hard = {"pods": str(self._random.randint(1, 8)), "count/services": self._random.choice(("4", None))}
        path = f"{TENANTS}/{self._random.choice(TEAMS)}"
        return await self._send("PATCH", path, {"spec": {"quota": {"hard": hard}}}, MERGE)

    async def _claim(self) -> int:
        size = {"requests": {"storage": self._random.choice(("1Gi", "3Gi"))}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": size, "storageClassName": "gold"}
        body = {"metadata": {"name": self._name()}, "spec": spec}
        path = f"{self._space()}/persistentvolumeclaims"
        return await self._send("POST", path, body) if self._random.random() < 0.6 else await self._send("DELETE", path)

    async def _delete_namespace(self) -> int:
        """And make it again: without controllers it stays terminating while it holds anything, and refuses what is new."""
        name = "short-lived"
        code = await self._send("DELETE", f"{NAMESPACES}/{name}")
        labels = {TENANT_LABEL: self._random.choice(TEAMS)}
        made = await self._send("POST", NAMESPACES, namespace(name, labels=labels))
        if made == 201:
            await self._send("POST", f"{NAMESPACES}/{name}/configmaps", {"metadata": {"name": "inside"}})
        return made if code == 404 else code


async def recounted(rig: Rig) -> dict[str, dict[str, int]]:
    """Scope -> resource -> what is used, counted from the objects as the API shows them."""
    charger = ObjectCharger()
    charges: list[tuple[str, Mapping[str, Any]]] = []
    teams: dict[str, str] = {}
    wanted = []
    for kind in rig.api.app.service.registry:
        if kind.ttl is not None or not {"list", "create"} <= set(kind.verbs):
            continue
        prefix = f"/apis/{kind.group}/{kind.version}" if kind.group else "/api/v1"
        for item in (await rig.ok(ADMIN, "GET", f"{prefix}/{kind.plural}"))["items"]:
            metadata = item["metadata"]
            if kind.plural == "namespaces":
                teams[metadata["name"]] = metadata.get("labels", {}).get(TENANT_LABEL, "")
            if charge := charger.charge(kind, item):
                place = metadata["name"] if kind.plural == "namespaces" else metadata["namespace"]
                charges.append((place, charge))
            if (limits := charger.limits(kind, item, None)) is not None:
                wanted.append(limits)
    found: dict[str, dict[str, int]] = {}
    for limits in wanted:
        sort, _, rest = limits.scope.partition("/")
        used = dict.fromkeys(limits.hard, 0)
        for place, amounts in charges:
            inside = place == rest.partition("/")[0] and "count/namespaces" not in amounts
            if not (inside if sort == "quota" else teams.get(place) == rest):
                continue
            if not limits.matcher or matches(limits.matcher, amounts.get("@") or {}):
                for resource in used:
                    used[resource] += int(amounts.get(resource, 0))
        if used:
            found[limits.scope] = used
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_is_used_is_what_is_there(rig: Rig, seed: int) -> None:
    crowd = Crowd(rig, seed)
    await crowd.prepare()
    for _ in range(STEPS // LOOK):
        for _ in range(LOOK):
            await crowd.act()
        told = {
            each.scope: {name: usage.used for name, usage in each.usage.items()}
            for each in await rig.api.store.quotas.changed_since(0)
        }
        assert told == await recounted(rig)
    done = {name for name, code in crowd.codes if code < 300}
    refused = {name for name, code in crowd.codes if code == 403}
    assert {"make_pod", "transact", "apply_map", "move", "set_quota"} <= done, crowd.codes
    assert refused, crowd.codes
