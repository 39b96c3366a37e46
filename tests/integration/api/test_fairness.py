"""Priority and fairness through the real server: kinds, headers, conditions, refusals."""

from __future__ import annotations

import asyncio
from typing import Any

from moorage.api.contracts import Attributes, Identity
from tests.integration.api.documents import CONFIGMAPS, configmap, create, patch, send
from tests.support.apiserver import RunningApi, serve_api
from tests.support.certificates import Certificates
from tests.support.wait import until

SCHEMAS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
LEVELS = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"


def schema(name: str, level: str, precedence: int = 500, user: str = "anna") -> dict[str, Any]:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    rule = {"subjects": [{"kind": "User", "user": {"name": user}}], "resourceRules": [everything]}
    spec = {
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [rule],
    }
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": name},
        "spec": spec,
    }


def level(name: str, **limited: Any) -> dict[str, Any]:
    limited = {"limitResponse": {"type": "Reject"}, **limited}
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": limited},
    }


def let_in(api: RunningApi, name: str) -> None:
    api.policies.authenticator.identities[f"{name}-token"] = Identity(name, frozenset(("system:authenticated",)))

    def everything(attributes: Attributes) -> bool:
        return attributes.identity.name == name

    api.policies.authorizer.rules.append(everything)


async def test_levels_have_the_whole_api(api: RunningApi) -> None:
    """[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations."""
    made = await create(api.client, LEVELS, level("mine", nominalConcurrencyShares=7))
    assert made["spec"]["limited"]["nominalConcurrencyShares"] == 7
    assert made["spec"]["limited"]["lendablePercent"] == 0
    changed = await patch(api.client, f"{LEVELS}/mine", {"spec": {"limited": {"nominalConcurrencyShares": 9}}})
    assert changed["metadata"]["generation"] == 2
    status = {"status": {"conditions": [{"type": "Odd", "status": "True", "message": "m", "reason": "r"}]}}
    assert (await patch(api.client, f"{LEVELS}/mine/status", status))["status"]["conditions"][0]["type"] == "Odd"
    listed = await send(api.client, "GET", LEVELS)
    assert "mine" in [each["metadata"]["name"] for each in listed["items"]]
    await send(api.client, "DELETE", f"{LEVELS}?fieldSelector=metadata.name=mine")
    await send(api.client, "GET", f"{LEVELS}/mine", expect=404)


async def test_bad_schemas_and_levels_are_refused_with_the_field(api: RunningApi) -> None:
    wrong = level("wrong", limitResponse={"type": "Queue", "queuing": {"queues": 2, "handSize": 4}})
    answer = await send(api.client, "POST", LEVELS, wrong, expect=422)
    assert answer["details"]["causes"][0]["field"] == "spec.limited.limitResponse.queuing.handSize"
    bad = schema("bad", "mine")
    bad["spec"]["rules"][0]["resourceRules"][0]["verbs"] = ["fly"]
    answer = await send(api.client, "POST", SCHEMAS, bad, expect=422)
    assert answer["details"]["causes"][0]["field"] == "spec.rules[0].resourceRules[0].verbs"


async def test_a_schema_tells_whether_its_level_is_there(api: RunningApi) -> None:
    await create(api.client, SCHEMAS, schema("lost", "nowhere"))

    async def dangling() -> str:
        found = await send(api.client, "GET", f"{SCHEMAS}/lost")
        return str(found.get("status", {}).get("conditions", [{}])[0].get("status"))

    async def missing() -> bool:
        return await dangling() == "True"

    async def found() -> bool:
        return await dangling() == "False"

    await until(missing)
    await create(api.client, LEVELS, level("nowhere"))
    await until(found)


async def test_answers_name_what_the_request_was_sorted_into(api: RunningApi) -> None:
    let_in(api, "anna")
    level_uid = (await create(api.client, LEVELS, level("mine", nominalConcurrencyShares=50)))["metadata"]["uid"]
    schema_uid = (await create(api.client, SCHEMAS, schema("annas", "mine")))["metadata"]["uid"]

    async with api.session("anna-token") as session:

        async def sorted_in() -> bool:
            async with session.get(CONFIGMAPS) as response:
                headers = response.headers
                return bool(
                    headers.get("X-Kubernetes-PF-FlowSchema-UID") == schema_uid
                    and headers.get("X-Kubernetes-PF-PriorityLevel-UID") == level_uid
                )

        await until(sorted_in)


async def test_a_server_that_tells_where_it_is_keeps_the_levels_too(
    database_url: str, certificates: Certificates
) -> None:
    """As every installation does: its lease is renewed for ever, beside what else goes on."""
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    async with serve_api(database_url, certificates, advertise="127.0.0.1:6443") as api:

        async def levels_and_lease() -> bool:
            async with api.client.get("/metrics") as response:
                told = await response.text()
            found = await send(api.client, "GET", leases)
            names = [each["metadata"]["name"] for each in found["items"]]
            return 'priority_level="global-default"' in told and any(each.startswith("apiserver-") for each in names)

        await until(levels_and_lease, timeout=30)


async def test_too_much_of_one_user_is_refused_with_a_time_to_come_back(api: RunningApi) -> None:
    let_in(api, "anna")
    await create(api.client, LEVELS, level("tight", nominalConcurrencyShares=0))
    await create(api.client, SCHEMAS, schema("annas", "tight"))

    async with api.session("anna-token") as session:

        async def refused() -> bool:
            async with session.get(CONFIGMAPS) as response:
                if response.status != 429:
                    return False
                assert response.headers["Retry-After"] == "1"
                answer = await response.json()
                assert (answer["reason"], answer["details"]) == ("TooManyRequests", {"retryAfterSeconds": 1})
                return True

        await until(refused)
    assert (await api.client.get(CONFIGMAPS)).status == 200


async def test_a_watch_holds_no_seat(api: RunningApi) -> None:
    let_in(api, "anna")
    async with api.session("anna-token") as session:
        watches = [await session.get(f"{CONFIGMAPS}?watch=true") for _ in range(60)]
        assert [each.status for each in watches] == [200] * 60
        async with session.post(CONFIGMAPS, json=configmap("c")) as response:
            assert response.status == 201
        for each in watches:
            each.close()


async def test_a_flood_of_one_user_is_answered_in_full(api: RunningApi) -> None:
    """Waiting is not losing: more requests at once than the level has seats are all done."""
    let_in(api, "anna")
    let_in(api, "bert")

    async with api.session("anna-token") as anna, api.session("bert-token") as bert:

        async def make(number: int) -> int:
            session = bert if number % 10 == 0 else anna
            async with session.post(CONFIGMAPS, json=configmap(f"c{number}")) as response:
                return response.status

        assert set(await asyncio.gather(*map(make, range(100)))) == {201}
