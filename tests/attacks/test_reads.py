"""Reading what belongs to another tenant, by every way that something is read."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote

from moorage_tenants.sealed_secrets import cipher
from tests.attacks.arena import NAMESPACES, TENANTS, Arena, config_map, deleted, secret, silent, transaction
from tests.attacks.caller import refused
from tests.support.rest import MERGE_PATCH, Answer, Document
from tests.support.wait import until

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
FORMS = ("application/json", "application/yaml", TABLE, PARTIAL, PARTIAL_LIST)


def callers(arena: Arena) -> dict[str, Any]:
    """All that the attacker can come as."""
    return {"owner": arena.mallory, "account": arena.robot, "node": arena.node}


def test_objects_and_lists_in_every_form(arena: Arena) -> None:
    victim = arena.victim
    kinds = {"secrets": "db", "configmaps": "settings", "pods": "web", "serviceaccounts": "deployer", "events": "any"}
    for who, caller in callers(arena).items():
        for plural, name in kinds.items():
            for form in FORMS:
                paths = [victim.at(plural), victim.at(plural, name), f"/api/v1/{plural}"]
                for path in paths:
                    answer = silent(arena, caller.send("GET", path, headers={"Accept": form}))
                    assert answer.code in (403, 406), (who, path, form, answer.text)
                    assert silent(arena, caller.send("HEAD", path)).code == 403, (who, path)


def test_watches(arena: Arena) -> None:
    victim = arena.victim
    for caller in callers(arena).values():
        for plural in ("secrets", "configmaps", "pods"):
            for path in (victim.at(plural), f"/api/v1/{plural}"):
                for more in (
                    {},
                    {"resourceVersion": "0"},
                    {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
                ):
                    refused(silent(arena, caller.send("GET", path, watch="1", allowWatchBookmarks="true", **more)))
            # The old way to watch.
            old = victim.at(plural).replace("/api/v1/", "/api/v1/watch/")
            refused(caller.send("GET", old))
            refused(caller.send("GET", f"{old}/web"))


def test_selectors_do_not_widen_what_is_listed(arena: Arena) -> None:
    victim, attacker = arena.victim, arena.attacker
    fields = (
        f"metadata.namespace={victim.namespace}",
        f"metadata.namespace={victim.namespace},metadata.name=db",
        "metadata.name=db",
        "metadata.namespace!=nothing",
    )
    for selector in fields:
        refused(arena.mallory.send("GET", "/api/v1/secrets", fieldSelector=selector))
        found = arena.mallory.send("GET", attacker.at("secrets"), fieldSelector=selector)
        assert not [each for each in found.document.get("items", ()) if each["metadata"]["name"] == "db"]
        silent(arena, found)
    for label in ("kubernetes.io/metadata.name", "!nothing", "a notin (b)"):
        silent(arena, arena.mallory.send("GET", attacker.at("secrets"), labelSelector=label))
        refused(arena.mallory.send("GET", "/api/v1/secrets", labelSelector=label))


INJECTIONS = (
    "' OR '1'='1",
    "x'; DROP TABLE objects; --",
    "x') UNION SELECT sealed FROM objects --",
    "%27%20OR%201%3D1",
    "$1",
    "{}",
    "x\\'",
    "\u0000",
    "%00",
    "x\u2019 or 1=1",
)


def test_sql_in_names_selectors_and_tokens(arena: Arena) -> None:
    attacker, mallory = arena.attacker, arena.mallory
    before = len(mallory.get(attacker.at("secrets"))["items"])
    for text in INJECTIONS:
        pages: list[dict[str, Any]] = [{"continue": text}, {"continue": forged(1, text, text)}]
        answers = [
            mallory.send("GET", attacker.at("secrets"), fieldSelector=f"metadata.name={text}"),
            mallory.send("GET", attacker.at("secrets"), labelSelector=f"a={text}"),
            mallory.send("GET", attacker.at("secrets"), resourceVersion=text),
            *(mallory.send("GET", attacker.at("secrets"), **page) for page in pages),
            mallory.send("GET", attacker.at("secrets", _quoted(text))),
            mallory.send("GET", f"{NAMESPACES}/{_quoted(text)}/secrets"),
            mallory.send("POST", attacker.at("configmaps"), {"metadata": {"name": text}}),
            mallory.send("POST", attacker.at("configmaps"), {"metadata": {"name": "x", "labels": {text: text}}}),
            mallory.send("GET", "/apis/moorage.io/v1/audit", user=text, name=text, **pages[0]),
            mallory.send("GET", f"/apis/moorage.io/v1/namespaces/{attacker.namespace}/secrets/{_quoted(text)}/history"),
        ]
        for answer in answers:
            silent(arena, answer)
            assert answer.code < 500, (text, answer.text)
            assert "psycopg" not in answer.text
            assert "syntax error" not in answer.text
    assert len(mallory.get(attacker.at("secrets"))["items"]) == before


def _quoted(text: str) -> str:
    """Percent-encoded but for what is so already."""
    return quote(text, safe="%")


def forged(revision: int, namespace: str, name: str, left: int = -1) -> str:
    """A continue token of our own making."""
    return base64.urlsafe_b64encode(json.dumps([1, revision, namespace, name, left]).encode()).decode().rstrip("=")


def test_continue_tokens_of_other_lists(arena: Arena) -> None:
    """A token says where to go on, never what may be seen: it is only ever used on what the path names."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    for number in range(3):
        mallory.create(attacker.at("configmaps"), config_map(f"page-{number}"))
    page = arena.admin.get("/api/v1/configmaps", limit="1")["metadata"]
    now = int(page["resourceVersion"])
    tokens = [page["continue"], arena.admin.get(victim.at("secrets"), limit="1")["metadata"].get("continue", "")]
    tokens += [forged(revision, victim.namespace, "") for revision in (-1, 0, 1, now, now - 2, -2)]
    tokens += [forged(now - 2, attacker.namespace, "page-0", 2**62), forged(-1, "", "")]
    for token in filter(None, tokens):
        for limit in ("0", "1", "500"):
            answer = silent(arena, mallory.send("GET", attacker.at("configmaps"), limit=limit, **{"continue": token}))
            assert answer.code < 500, answer.text
            for item in answer.document.get("items", ()):
                assert item["metadata"]["namespace"] == attacker.namespace
            refused(mallory.send("GET", "/api/v1/configmaps", limit=limit, **{"continue": token}))


def test_history_by_old_revisions(arena: Arena) -> None:
    victim, mallory = arena.victim, arena.mallory
    now = int(arena.admin.get(victim.at("secrets"))["metadata"]["resourceVersion"])
    for revision in ("1", str(now - 1), str(now)):
        for match in ("Exact", "NotOlderThan"):
            query: dict[str, Any] = {"resourceVersion": revision, "resourceVersionMatch": match}
            refused(silent(arena, mallory.send("GET", victim.at("secrets"), **query)))
            refused(silent(arena, mallory.send("GET", "/api/v1/secrets", **query)))
        refused(silent(arena, mallory.send("GET", victim.at("secrets", "db"), resourceVersion=revision)))
        refused(silent(arena, mallory.send("GET", victim.at("secrets"), watch="1", resourceVersion=revision)))


async def test_what_a_name_held_before_stays_its_owners(arena: Arena) -> None:
    """A tenant that comes to a namespace's name gets neither the history nor the Secrets' versions of the one before."""
    name = f"reads-taken-{arena.victim.tenant}"
    vera, mallory, admin = arena.victim.caller, arena.mallory, arena.admin
    vera.create(NAMESPACES, {"metadata": {"name": name}})
    vera.create(f"{NAMESPACES}/{name}/secrets", secret("db", password=arena.canary))
    vera.create(f"{NAMESPACES}/{name}/configmaps", config_map("settings", note=arena.canary))
    sealed_history = f"/apis/moorage.io/v1/namespaces/{name}/secrets/db/history"
    assert vera.get(sealed_history)["items"]
    then = vera.get(f"{NAMESPACES}/{name}/configmaps")["metadata"]["resourceVersion"]
    await deleted(admin, f"{NAMESPACES}/{name}")
    # Times of objects are whole seconds.
    gone = int(time.time())
    await until(lambda: int(time.time()) > gone)
    mallory.create(NAMESPACES, {"metadata": {"name": name}})
    for plural in ("configmaps", "secrets"):
        path = f"{NAMESPACES}/{name}/{plural}"
        query = {"resourceVersion": then, "resourceVersionMatch": "Exact"}
        assert silent(arena, mallory.send("GET", path, **query)).code == 410
        silent(arena, mallory.send("GET", path, watch="1", resourceVersion=then, timeoutSeconds="1"))
    assert silent(arena, mallory.send("GET", sealed_history)).code == 404
    for version in (1, 2):
        assert silent(arena, mallory.send("GET", f"{sealed_history}/{version}")).code == 404
    rollback = f"/apis/moorage.io/v1/namespaces/{name}/secrets/db/rollback"
    assert silent(arena, mallory.send("POST", rollback, {"version": 1})).code == 404
    silent(arena, mallory.send("GET", f"{NAMESPACES}/{name}/secrets"))
    rows = mallory.get("/apis/moorage.io/v1/audit", namespace=name)["items"]
    assert arena.victim.owner not in json.dumps(rows)
    await deleted(admin, f"{NAMESPACES}/{name}")


def test_endpoints_of_our_own(arena: Arena) -> None:
    """Secrets' history, sealed secrets, audit, tokens, tenants, metrics: none looks into another's."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    own = f"/apis/moorage.io/v1/namespaces/{victim.namespace}"
    for caller in callers(arena).values():
        for path in (f"{own}/secrets/db/history", f"{own}/secrets/db/history/1"):
            refused(silent(arena, caller.send("GET", path)))
            refused(
                silent(
                    arena,
                    caller.send(
                        "GET", path.replace(victim.namespace, f"{attacker.namespace}%2F..%2F{victim.namespace}")
                    ),
                ),
                403,
                404,
            )
        refused(silent(arena, caller.send("POST", f"{own}/secrets/db/rollback", {"version": 1})))
        refused(silent(arena, caller.send("GET", "/apis/moorage.io/v1/audit", namespace=victim.namespace)))
        refused(caller.send("GET", "/apis/moorage.io/v1/audit/verify"))
        refused(caller.send("GET", "/metrics"))
        for path in ("/debug/pprof", "/logs", "/configz", "/flagz", "/statusz"):
            refused(caller.send("GET", path), 403, 404)
    both = [("namespace", attacker.namespace), ("namespace", victim.namespace)]
    refused(
        silent(
            arena, mallory.send("GET", "/apis/moorage.io/v1/audit?" + "&".join(f"{key}={value}" for key, value in both))
        )
    )
    rows = mallory.get("/apis/moorage.io/v1/audit", limit="1000")["items"]
    assert {row.get("namespace") for row in rows} <= {attacker.namespace}
    refused(mallory.send("GET", f"{TENANTS}/{victim.tenant}"))
    assert [item["metadata"]["name"] for item in mallory.get(TENANTS)["items"]] == [attacker.tenant]
    assert all(item["spec"]["user"] == attacker.owner for item in mallory.get("/apis/moorage.io/v1/tokens")["items"])
    assert all(
        item["spec"]["user"] == attacker.owner
        for item in mallory.get("/apis/moorage.io/v1/tokens", mine="false")["items"]
    )


def test_sealed_secrets_of_another_namespace(arena: Arena) -> None:
    """What is sealed for one place is opened in no other, whatever a request says of it."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    public = base64.b64decode(mallory.get("/apis/secrets.moorage.io/v1/sealingkeys")["items"][0]["publicKey"])
    value = cipher.seal(public, arena.canary.encode(), namespace=victim.namespace, name="db", key="password")
    for namespace, name in ((victim.namespace, "db"), (attacker.namespace, "db"), (attacker.namespace, "other")):
        document = {
            "apiVersion": "secrets.moorage.io/v1",
            "kind": "SealedSecret",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"encryptedData": {"password": value}},
        }
        for place, target in ((attacker.namespace, "db"), (attacker.namespace, "other"), (victim.namespace, "db")):
            base = f"/apis/moorage.io/v1/namespaces/{place}/sealedsecrets/{target}"
            for action in ("unseal", "reseal"):
                answer = silent(arena, mallory.send("POST", f"{base}/{action}", document))
                assert answer.code in (400, 403, 422), (place, target, answer.text)
        made = mallory.send(
            "POST", f"/apis/secrets.moorage.io/v1/namespaces/{attacker.namespace}/sealedsecrets", document
        )
        silent(arena, made)
    listed = mallory.send("GET", attacker.at("secrets"))
    silent(arena, listed)


def test_transactions_that_mix_namespaces(arena: Arena) -> None:
    """Each operation needs its own right; one that lacks it undoes all. A condition on a foreign object is a read."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    mine: Document = {"verb": "create", "object": config_map("mixed", attacker.namespace)}
    theirs: list[Document] = [
        {"verb": "create", "object": config_map("mixed", victim.namespace)},
        {"verb": "apply", "object": config_map("settings", victim.namespace), "force": True},
        {"verb": "update", "object": config_map("settings", victim.namespace)},
        {"verb": "delete", "apiVersion": "v1", "kind": "ConfigMap", "namespace": victim.namespace, "name": "settings"},
        {
            "verb": "patch",
            "apiVersion": "v1",
            "kind": "Secret",
            "namespace": victim.namespace,
            "name": "db",
            "patchType": "application/merge-patch+json",
            "patch": {"metadata": {"labels": {"a": "b"}}},
        },
    ]
    for operation in theirs:
        for dry in (False, True):
            asked = transaction(mine, operation)
            asked["spec"]["dryRun"] = dry
            answer = silent(arena, mallory.send("POST", "/apis/moorage.io/v1/transactions", asked))
            assert answer.code == 403, answer.text
        batch = silent(arena, mallory.send("POST", "/apis/moorage.io/v1/batches", transaction(operation, kind="Batch")))
        assert batch.code == 200
        assert batch.document["status"]["results"][0]["code"] == 403, batch.text
    assert mallory.send("GET", attacker.at("configmaps", "mixed")).code == 404
    for exists in (True, False):
        asked = transaction(mine)
        condition = {
            "apiVersion": "v1",
            "kind": "Secret",
            "namespace": victim.namespace,
            "name": "db",
            "exists": exists,
        }
        asked["spec"]["preconditions"] = [condition]
        asked["spec"]["dryRun"] = True
        refused(silent(arena, mallory.send("POST", "/apis/moorage.io/v1/transactions", asked)))


def test_impersonation(arena: Arena) -> None:
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    account = f"system:serviceaccount:{attacker.namespace}:robot"
    masks: list[Any] = [
        {"Impersonate-User": victim.owner},
        {"Impersonate-User": "admin", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": f"system:serviceaccount:{victim.namespace}:deployer"},
        {"Impersonate-User": account, "Impersonate-Group": "system:masters"},
        {"Impersonate-User": account, "Impersonate-Group": f"system:serviceaccounts:{victim.namespace}"},
        {"Impersonate-User": "system:node:test-node"},
        {"Impersonate-User": f"{account}:x", "Impersonate-Group": "system:nodes"},
        {"Impersonate-Group": "system:masters"},
        {"Impersonate-User": ""},
        {"Impersonate-Extra-Scopes": "x"},
        {"Impersonate-Uid": "x"},
        [("Impersonate-User", account), ("Impersonate-User", "admin")],
        {"impersonate_user": "admin", "Impersonate-User": victim.owner},
    ]
    for mask in masks:
        for path in (victim.at("secrets", "db"), victim.at("secrets"), attacker.at("secrets")):
            refused(silent(arena, mallory.send("GET", path, headers=mask)), 400, 403)
            refused(silent(arena, arena.node.send("GET", path, headers=mask)), 400, 403)
    refused(silent(arena, mallory.send("GET", victim.at("secrets"), headers={"Impersonate-User": account})))


def test_refusals_do_not_tell_what_exists(arena: Arena) -> None:
    """What is there and what is not are refused with the same words."""
    victim, mallory = arena.victim, arena.mallory
    pairs = [
        (victim.at("secrets", "db"), victim.at("secrets", "no")),
        (victim.at("pods", "web"), victim.at("pods", "no")),
        (f"{NAMESPACES}/{victim.namespace}", f"{NAMESPACES}/reads-victim-none"),
        (f"{NAMESPACES}/{victim.namespace}/secrets", f"{NAMESPACES}/reads-victim-none/secrets"),
        (f"{TENANTS}/{victim.tenant}", f"{TENANTS}/reads-none"),
        ("/api/v1/nodes/test-node", "/api/v1/nodes/none"),
        (
            f"/apis/moorage.io/v1/namespaces/{victim.namespace}/secrets/db/history",
            f"/apis/moorage.io/v1/namespaces/{victim.namespace}/secrets/no/history",
        ),
    ]
    for there, missing in pairs:
        for method, body in (("GET", None), ("DELETE", None), ("PUT", {}), ("PATCH", {})):
            content = MERGE_PATCH if method == "PATCH" else "application/json"
            answers = [mallory.send(method, path, body, content) for path in (there, missing)]
            words = [_without_names(answer, path) for answer, path in zip(answers, (there, missing), strict=True)]
            assert words[0] == words[1], words


def _without_names(answer: Answer, path: str) -> tuple[int, str]:
    text = answer.document.get("message", "")
    for part in sorted(path.split("/"), key=len, reverse=True):
        if len(part) > 1 and part not in ("api", "v1", "apis", "namespaces", "secrets", "pods", "nodes", "tenants"):
            text = text.replace(f'"{part}"', '"..."')
    return answer.code, text


def test_an_owner_reference_to_anothers_object_reaches_nothing(arena: Arena) -> None:
    """The garbage collector deletes none of the victim's objects for the attacker."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    owner = victim.caller.create(victim.at("configmaps"), config_map("owner"))["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [reference]
    victim.caller.create(victim.at("configmaps"), child)
    # A uid is the server's to give.
    forged_owner = config_map("owner")
    forged_owner["metadata"]["uid"] = owner["uid"]
    forged_owner["metadata"]["namespace"] = attacker.namespace
    for answer in (
        mallory.send("POST", attacker.at("configmaps"), forged_owner),
        mallory.send(
            "PATCH",
            attacker.at("configmaps", "owner") + "?fieldManager=x&force=true",
            json.dumps(forged_owner),
            "application/apply-patch+yaml",
        ),
        mallory.send(
            "POST",
            "/apis/moorage.io/v1/transactions",
            transaction({"verb": "apply", "object": forged_owner, "force": True}),
        ),
    ):
        assert owner["uid"] not in json.dumps(answer.document.get("metadata", {})), answer.text
    mallory.send("DELETE", attacker.at("configmaps", "owner"), {"propagationPolicy": "Foreground"})
    assert victim.caller.send("GET", victim.at("configmaps", "child")).code == 200


async def test_a_foreign_dependent_does_not_hold_up_a_deletion(arena: Arena) -> None:
    """The victim deletes in the foreground what an object of the attacker's, with a finalizer, says to depend on."""
    victim, path = arena.victim, arena.victim.at("configmaps", "waited-for")
    owner = victim.caller.create(victim.at("configmaps"), config_map("waited-for"))["metadata"]
    blocking = config_map("blocking")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "waited-for", "uid": owner["uid"]}
    blocking["metadata"]["ownerReferences"] = [{**reference, "blockOwnerDeletion": True}]
    blocking["metadata"]["finalizers"] = ["attack.example/never"]
    assert arena.mallory.send("POST", arena.attacker.at("configmaps"), blocking).code == 201
    for policy in ("Foreground", "Orphan"):
        assert victim.caller.send("DELETE", path, {"propagationPolicy": policy}).code in (200, 202, 404)
    await until(lambda: victim.caller.send("GET", path).code == 404)
    arena.admin.merge(arena.attacker.at("configmaps", "blocking"), {"metadata": {"finalizers": None}})


def test_discovery_and_openapi_name_nobody(arena: Arena) -> None:
    """What is published to all holds kinds only: no namespace, tenant or object of anybody."""
    for caller in callers(arena).values():
        for path in (
            "/api",
            "/apis",
            "/api/v1",
            "/openapi/v3",
            "/openapi/v2",
            "/version",
            "/apis/tenancy.moorage.io/v1",
        ):
            answer = silent(arena, caller.send("GET", path))
            assert answer.code == 200
            assert arena.victim.tenant not in answer.text


def test_generated_names_hit_nobody(arena: Arena) -> None:
    """A generated name is one of the writer's own namespace; a name beside it decides."""
    attacker, mallory = arena.attacker, arena.mallory
    made = {
        mallory.create(attacker.at("secrets"), {"metadata": {"generateName": "db-"}})["metadata"]["name"]
        for _ in range(20)
    }
    assert len(made) == 20
    namespace = {"metadata": {"generateName": arena.victim.namespace[:-1]}}
    answer = mallory.send("POST", NAMESPACES, namespace)
    assert answer.code == 403 or answer.document["metadata"]["name"] != arena.victim.namespace
