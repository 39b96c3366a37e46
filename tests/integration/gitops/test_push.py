"""Pushes that deploy: what they create, change, remove, and say."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from moorage.api.contracts import Operation, TransactionRequest
from moorage.resources.builtin import builtin_registry
from moorage.resources.gitops import APPLICATION, REPOSITORY
from moorage.resources.kind import GroupVersionKind
from tests.integration.gitops.conftest import add_namespace
from tests.integration.gitops.manifests import config_map, deployment, many
from tests.integration.gitops.rig import TOKENS, Rig, Work
from tests.support.wait import until

GITOPS = "gitops.moorage.io"


async def patch(
    rig: Rig, api_version: str, kind: str, name: str, change: object, manager: str = "kubectl-edit"
) -> None:
    """Change an object behind Git's back."""
    group, _, version = api_version.rpartition("/")
    found = builtin_registry().by_kind(GroupVersionKind(group, version, kind))
    assert found is not None
    operation = Operation(
        verb="patch",
        kind=found,
        namespace="shop",
        name=name,
        patch=change,
        patch_type="application/merge-patch+json",
        field_manager=manager,
    )
    result = await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
    assert result.committed, result


async def test_a_push_becomes_objects_of_one_commit(rig: Rig, work: Work) -> None:
    files = {f"deploy/cm{i}.yaml": config_map(f"cm{i}", key=str(i)) for i in range(19)}
    commit = await work.commit({**files, "deploy/web.yaml": deployment(), "README.md": "# web"})

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert "20 objects read from 20 files" in pushed.err
    assert "created     Deployment shop/web" in pushed.err
    assert "20 created, 0 changed, 0 unchanged, 0 removed, as one transaction at resourceVersion" in pushed.err
    assert len(rig.names("", "configmaps")) == 19
    (uid,) = {owner for owner, _ in rig.store.rows}
    assert rig.store.rows[uid, "refs/heads/main"] == commit
    # 20 objects, the Application's and the Repository's status: one commit, one range of revisions.
    written = [verdict.revision for verdict in rig.store.commits[-1]]
    assert written == list(range(written[0], written[0] + 22))
    assert rig.steps == ["validated", "pack-durable", "committed", "ref-written"]


async def test_the_statuses_say_what_was_deployed(rig: Rig, work: Work) -> None:
    commit = await work.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})

    await work.push(rig.url(token="shop-token"))

    application = rig.get(GITOPS, "applications", "shop", "web")
    repository = rig.get(GITOPS, "repositories", "shop", "web")
    assert application is not None
    assert repository is not None
    status = application["status"]
    assert status["revision"] == status["sync"]["revision"] == commit
    assert status["sync"]["status"] == "Synced"
    assert status["health"]["status"] == "Progressing"
    assert status["resourceCount"] == 2
    assert [entry["name"] for entry in status["resources"]] == ["a", "b"]
    assert status["operation"]["created"] == 2
    assert status["operation"]["phase"] == "Succeeded"
    assert repository["status"]["revision"] == commit
    assert repository["status"]["lastPusher"] == "team:shop"
    assert repository["status"]["url"] == f"http://127.0.0.1:{rig.port}/git/shop/web.git"
    assert repository["spec"]["deployBranch"] == "main"
    assert application["spec"]["repository"] == "web"


async def test_the_ref_row_keeps_what_the_push_did(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url(token="shop-token"))

    result = orjson.loads(rig.store.results[-1].result)

    assert result["pusher"] == "team:shop"
    assert result["applications"] == {"shop/web": ["created ConfigMap shop/a"]}


async def test_objects_carry_their_application(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())

    found = rig.get("", "configmaps", "shop", "a")

    assert found is not None
    assert found["metadata"]["labels"] == {f"{GITOPS}/application": "web"}
    assert found["metadata"]["annotations"][f"{GITOPS}/tracking-id"] == "shop/web ConfigMap shop/a"
    assert [entry["manager"] for entry in found["metadata"]["managedFields"]] == ["moorage-gitops"]


async def test_a_second_push_changes_keeps_and_prunes(rig: Rig, work: Work) -> None:
    await work.commit(
        {"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1"), "c.yaml": config_map("c", k="1")}
    )
    await work.push(rig.url())
    before = rig.get("", "configmaps", "shop", "b")
    (work.directory / "c.yaml").unlink()
    await work.commit({"a.yaml": config_map("a", k="2"), "d.yaml": config_map("d", k="1")})

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    for line in (
        "created     ConfigMap shop/d",
        "configured  ConfigMap shop/a",
        "pruned      ConfigMap shop/c",
        "unchanged   1 object",
    ):
        assert line in pushed.err
    assert "1 created, 1 changed, 1 unchanged, 1 removed" in pushed.err
    assert rig.names("", "configmaps") == ["a", "b", "d"]
    assert rig.get("", "configmaps", "shop", "b") == before, "what does not change is not written"
    application = rig.get(GITOPS, "applications", "shop", "web")
    assert application is not None
    operation = application["status"]["operation"]
    assert [operation[name] for name in ("created", "changed", "unchanged", "removed")] == [1, 1, 1, 1]


async def test_fields_that_left_the_manifest_leave_the_object(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", one="1", two="2")})
    await work.push(rig.url())
    await work.commit({"a.yaml": config_map("a", one="1")})

    await work.push(rig.url())

    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    assert found["data"] == {"one": "1"}


async def test_a_push_takes_back_what_was_changed_by_hand(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", one="1")})
    await work.push(rig.url())
    await patch(rig, "v1", "ConfigMap", "a", {"data": {"one": "other", "two": "theirs"}})
    await work.commit()

    pushed = await work.push(rig.url())

    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    assert found["data"] == {"one": "1", "two": "theirs"}
    assert "configured  ConfigMap shop/a" in pushed.err


async def test_a_copy_of_an_object_is_not_pruned(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    await work.push(rig.url())
    original = rig.get("", "configmaps", "shop", "a")
    assert original is not None
    metadata = {key: original["metadata"][key] for key in ("labels", "annotations", "namespace")}
    copy = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "name": "copy"}, "data": {}}
    kind = builtin_registry().by_kind(GroupVersionKind("", "v1", "ConfigMap"))
    assert kind is not None
    operation = Operation(verb="create", kind=kind, namespace="shop", name="copy", document=copy)
    await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
    (work.directory / "a.yaml").unlink()
    await work.commit()

    await work.push(rig.url())

    assert rig.names("", "configmaps") == ["b", "copy"]


async def test_an_annotation_keeps_an_object(rig: Rig, work: Work) -> None:
    kept = config_map("a", k="1").replace("  name: a", f"  name: a\n  annotations: {{{GITOPS}/prune: disabled}}")
    await work.commit({"a.yaml": kept, "b.yaml": config_map("b", k="1")})
    await work.push(rig.url())
    (work.directory / "a.yaml").unlink()
    await work.commit()

    pushed = await work.push(rig.url())

    assert "kept        ConfigMap shop/a (annotated not to be pruned)" in pushed.err
    assert rig.names("", "configmaps") == ["a", "b"]


async def test_an_application_may_not_prune(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    await work.push(rig.url())
    await patch(rig, f"{GITOPS}/v1", "Application", "web", {"spec": {"prune": False}})
    (work.directory / "a.yaml").unlink()
    await work.commit()

    pushed = await work.push(rig.url())

    assert "kept        ConfigMap shop/a (the application does not prune)" in pushed.err
    assert rig.names("", "configmaps") == ["a", "b"]


async def test_removing_most_needs_a_confirmation(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": many([f"x{i}" for i in range(20)])})
    await work.push(rig.url())
    await work.commit({"a.yaml": many([f"x{i}" for i in range(9)])})

    refused = await work.push(rig.url())

    assert refused.code != 0
    assert "This push would delete 11 of the 20 objects of application web:" in refused.err
    assert "git push -o confirm-prune" in refused.err
    assert len(rig.names("", "configmaps")) == 20
    confirmed = await work.push(rig.url(), "-o", "confirm-prune")
    assert confirmed.code == 0, confirmed.err
    assert len(rig.names("", "configmaps")) == 9


async def test_removing_everything_needs_a_confirmation_which_may_be_a_trailer(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    (work.directory / "a.yaml").unlink()
    await work.commit()
    assert "delete 1 of the 1 objects" in (await work.push(rig.url())).err
    await work.commit(message="Remove it all\n\nIt is time.\n\nConfirm-Prune: yes")

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert rig.names("", "configmaps") == []


async def test_a_folder_of_the_tree_may_be_deployed(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    await patch(rig, f"{GITOPS}/v1", "Application", "web", {"spec": {"path": "deploy/prod"}})
    missing = await work.push(rig.url(), refspec=f"{await work.commit()}:refs/heads/main")
    assert "the commit has no folder 'deploy/prod'" in missing.err
    await work.commit(
        {"deploy/prod/b.yaml": config_map("b", k="1"), "deploy/test/c.yaml": "broken: [", "a.yaml": "also: ["}
    )

    pushed = await work.push(rig.url(), "-o", "confirm-prune")

    assert pushed.code == 0, pushed.err
    assert "1 object read from 1 file" in pushed.err
    assert rig.names("", "configmaps") == ["b"]


async def test_two_applications_of_one_repository(rig: Rig, work: Work) -> None:
    """Each has its folder; a push deploys both in one transaction, or neither."""
    await add_repository(rig, "web")
    for name in ("front", "back"):
        spec = {"repository": "web", "path": name}
        await create(
            rig,
            APPLICATION.kind,
            {
                "apiVersion": f"{GITOPS}/v1",
                "kind": "Application",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": spec,
            },
        )
    await work.commit({"front/a.yaml": config_map("a", k="1"), "back/b.yaml": config_map("b", k="1")})

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert "shop/front: 1 created" in pushed.err
    assert "shop/back: 1 created" in pushed.err
    assert rig.names(GITOPS, "applications") == ["back", "front"]
    await work.commit({"front/a.yaml": config_map("a", k="2"), "back/b.yaml": "kind: ["})
    assert (await work.push(rig.url())).code != 0
    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    assert found["data"] == {"k": "1"}


async def test_one_object_belongs_to_one_application(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url("shop/first"))

    refused = await work.push(rig.url("shop/second"))

    assert "a.yaml:1: ConfigMap shop/a: belongs to application shop/first" in refused.err
    adopted = await work.push(rig.url("shop/second"), "-o", "adopt")
    assert adopted.code == 0, adopted.err
    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    assert found["metadata"]["labels"][f"{GITOPS}/application"] == "second"


async def test_a_suspended_application_keeps_commits_without_deploying(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.push(rig.url())
    await patch(rig, f"{GITOPS}/v1", "Application", "web", {"spec": {"suspend": True}})
    commit = await work.commit({"a.yaml": config_map("a", k="2")})

    pushed = await work.push(rig.url())

    assert "application web is suspended; the branch moves, nothing is deployed" in pushed.err
    found = rig.get("", "configmaps", "shop", "a")
    assert found is not None
    assert found["data"] == {"k": "1"}
    assert commit in rig.store.rows.values()


async def test_a_dry_run_shows_and_changes_nothing(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})

    pushed = await work.push(rig.url(), "-o", "dry-run")

    assert "created     ConfigMap shop/a" in pushed.err
    assert "! [remote rejected] HEAD -> main (dry run: nothing was changed)" in pushed.err
    assert rig.names("", "configmaps") == []
    assert rig.names(GITOPS, "repositories") == []


async def test_a_list_is_its_items(rig: Rig, work: Work) -> None:
    items = "".join(f"- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: l{i}}}\n" for i in range(3))
    await work.commit(
        {
            "list.yaml": f"apiVersion: v1\nkind: List\nitems:\n{items}",
            "one.json": '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"}}',
        }
    )

    await work.push(rig.url())

    assert rig.names("", "configmaps") == ["j", "l0", "l1", "l2"]
    broken = items.replace("name: l1", "name: L_1")
    await work.commit({"list.yaml": f"apiVersion: v1\nkind: List\nitems:\n{broken}"})
    assert "list.yaml:9: ConfigMap shop/L_1: metadata.name: Invalid value" in (await work.push(rig.url())).err


async def test_an_exported_object_can_be_pushed(rig: Rig, work: Work) -> None:
    """What ``kubectl get -o yaml`` prints carries fields of the server's, which are dropped."""
    metadata = (
        "name: a, namespace: shop, uid: x, resourceVersion: '5', generation: 3, creationTimestamp: 2024-01-01T00:00:00Z"
    )
    await work.commit(
        {"a.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{{metadata}, managedFields: []}}\ndata: {{k: v}}\n"}
    )

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err


async def test_waiting_tells_how_the_application_fares(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})

    async def engine() -> None:
        """What the engine does, when it sees the push."""
        cache = rig.store.cache_of(APPLICATION.storage)
        await until(lambda: cache.subscribed > 0)
        for status, message in (("Progressing", "Deployment web: 0 of 1"), ("Healthy", "")):
            operation = Operation(
                verb="patch",
                kind=APPLICATION,
                namespace="shop",
                name="web",
                subresource="status",
                patch={"status": {"health": {"status": status, "message": message}}},
                patch_type="application/merge-patch+json",
            )
            result = await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
            assert result.committed, result

    working = asyncio.create_task(engine())
    pushed = await work.push(rig.url(), "-o", "wait")
    await working

    assert pushed.code == 0, pushed.err
    assert "Moorage: Progressing: Deployment web: 0 of 1" in pushed.err
    assert "Moorage: Healthy" in pushed.err


async def test_a_namespace_of_another_team_is_not_touched_by_the_same_name(rig: Rig, work: Work) -> None:
    await add_namespace(rig, "other")
    await work.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    await work.push(rig.url("shop/web"))
    await work.push(rig.url("other/web"))
    (work.directory / "a.yaml").unlink()
    await work.commit()

    await work.push(rig.url("other/web"))

    assert rig.get("", "configmaps", "shop", "a") is not None
    assert rig.get("", "configmaps", "other", "a") is None


async def add_repository(rig: Rig, name: str, **spec: object) -> None:
    """Create a Repository as its owner would, with kubectl."""
    document = {
        "apiVersion": f"{GITOPS}/v1",
        "kind": "Repository",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }
    await create(rig, REPOSITORY.kind, document)


async def create(rig: Rig, kind: str, document: dict[str, Any]) -> None:
    """Create an object of our own group."""
    found = builtin_registry().by_kind(GroupVersionKind(GITOPS, "v1", kind))
    assert found is not None
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    operation = Operation(verb="create", kind=found, namespace="shop", name=metadata["name"], document=document)
    result = await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
    assert result.committed, result
