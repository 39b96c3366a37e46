"""A push with a Secret in the clear: refused with the command that seals it, nothing kept; or as the policy says."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest

from moorage.api.contracts import Operation, TransactionRequest
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.gitops import REPOSITORY
from moorage.resources.kind import Document, Kind
from moorage.resources.tenancy import TENANT, TENANT_LABEL
from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import TOKENS, Rig, Work
from tests.integration.gitops.test_refusals import assert_nothing_stored

CANARY = "canary-in-git-5d1e"
ENCODED = base64.b64encode(CANARY.encode()).decode()
PLAIN = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: {CANARY}\n"
COMMAND = "moorage secrets seal --manifest {} --in-place -n shop"

FORMS = {
    "stringData": ("db.yaml", PLAIN, 6),
    "data": ("db.yaml", f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\ndata:\n  password: {ENCODED}\n", 5),
    "second document": ("all.yaml", config_map("a", k="1") + "---\n" + PLAIN, 13),
    "list": (
        "list.json",
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "List",
                "items": [
                    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"password": ENCODED}}
                ],
            }
        ),
        1,
    ),
    "rendered by Helm": (
        "chart/rendered.yaml",
        f"# Source: chart/templates/secret.yaml\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n"
        f"  labels: {{app.kubernetes.io/managed-by: Helm}}\ntype: Opaque\ndata:\n  password: {ENCODED!r}\n",
        9,
    ),
}


async def put(rig: Rig, kind: Kind, document: Document, namespace: str = "", verb: str = "create") -> None:
    """Write an object as an administrator."""
    operation = Operation(
        verb, kind, namespace, document["metadata"]["name"], document, field_manager="test", force=True
    )
    result = await rig.engine.transact(TOKENS["admin-token"], TransactionRequest(operations=[operation]))
    assert result.committed, result


async def repository(rig: Rig, policy: str) -> None:
    """The repository ``shop/web``, with a policy of its own."""
    metadata = {"name": "web", "namespace": "shop"}
    document = {"apiVersion": "gitops.moorage.io/v1", "kind": "Repository", "metadata": metadata}
    await put(rig, REPOSITORY, {**document, "spec": {"plainSecrets": policy}}, "shop")


async def tenant(rig: Rig, policy: str) -> None:
    """Namespace ``shop`` belongs to a tenant that says ``policy``."""
    spec = {"secrets": {"plainInGit": policy}}
    await put(
        rig, TENANT, {"apiVersion": TENANT.api_version, "kind": "Tenant", "metadata": {"name": "blue"}, "spec": spec}
    )
    metadata = {"name": "shop", "labels": {TENANT_LABEL: "blue"}}
    await put(rig, NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, verb="apply")


def everything(rig: Rig) -> bytes:
    """All that the server has on its disk."""
    return b"".join(path.read_bytes() for path in rig.directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", FORMS)
async def test_it_is_refused_with_the_command_that_seals_it(rig: Rig, work: Work, form: str) -> None:
    path, text, line = FORMS[form]
    await work.commit({path: text, "a.md": "text"})

    pushed = await work.push(rig.url())

    assert f"{path}:{line}: Secret shop/db: a Secret in the clear (password) is not accepted from Git" in pushed.err
    assert COMMAND.format(path) in pushed.err
    assert CANARY not in pushed.err
    assert ENCODED not in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_the_pack_of_a_refused_push_is_not_kept(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    assert (await work.push(rig.url())).code == 0
    # Stored as it is, so that a search of the bytes would find it.
    await work.git("config", "core.compression", "0")
    refused = await work.commit({"db.yaml": PLAIN})

    assert (await work.push(rig.url())).code == 1

    assert CANARY.encode() not in everything(rig)
    (stored,) = [path for path in (rig.directory / "git").glob("*.git") if path.name != "empty-repository.git"]
    known = await work.git("--git-dir", str(stored), "cat-file", "-e", refused, check=False)
    assert known.code != 0


async def test_earlier_commits_of_the_push_count(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1"), "db.yaml": PLAIN})
    (work.directory / "db.yaml").unlink()
    await work.commit(message="remove it")

    pushed = await work.push(rig.url())

    assert "db.yaml:6: Secret db: an earlier commit of this push, or a generator, has it in the clear" in pushed.err
    assert "git rebase -i" in pushed.err
    assert CANARY not in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_a_generator_counts(rig: Rig, work: Work) -> None:
    text = f"secretGenerator:\n- name: db\n  literals:\n  - password={CANARY}\n"
    await work.commit({"a.yaml": config_map("a", k="1"), "kustomization.yaml": text})

    pushed = await work.push(rig.url())

    assert "kustomization.yaml:4: Secret db: an earlier commit of this push, or a generator" in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_a_branch_that_is_not_deployed_counts(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    assert (await work.push(rig.url())).code == 0
    await work.commit({"db.yaml": PLAIN})

    pushed = await work.push(rig.url(), refspec="HEAD:topic")

    assert "Secret db:" in pushed.err
    assert rig.store.rows.keys() == {key for key in rig.store.rows if "topic" not in str(key)}


async def test_what_holds_no_value_is_no_secret(rig: Rig, work: Work) -> None:
    empty = "apiVersion: v1\nkind: Secret\nmetadata: {name: empty}\n"
    templates = "kind: Secret\nmetadata:\n  name: {{ .Values.name }}\ndata:\n  password: {{ .Values.password }}\n"
    await work.commit({"a.yaml": empty, "chart/secret.tpl": templates, "docs/plain.txt": PLAIN})

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert rig.names("", "secrets") == ["empty"]


POLICIES: Mapping[str, tuple[str, str, str]] = {
    "the repository allows it": ("allow", "", "allow"),
    "the repository warns": ("warn", "", "warn"),
    "the tenant allows it": ("", "allow", "allow"),
    "the tenant is stricter": ("allow", "refuse", "refuse"),
    "the repository is stricter": ("refuse", "allow", "refuse"),
}


@pytest.mark.parametrize("case", POLICIES)
async def test_who_decides(rig: Rig, work: Work, case: str) -> None:
    of_repository, of_tenant, expected = POLICIES[case]
    if of_repository:
        await repository(rig, of_repository)
    if of_tenant:
        await tenant(rig, of_tenant)
    await work.commit({"db.yaml": PLAIN})

    pushed = await work.push(rig.url())

    assert (pushed.code == 0) == (expected != "refuse"), pushed.err
    assert ("warning: db.yaml:6: Secret shop/db:" in pushed.err) == (expected == "warn")
    assert (COMMAND.format("db.yaml") in pushed.err) == (expected != "allow")
    assert rig.names("", "secrets") == ([] if expected == "refuse" else ["db"])
    assert CANARY not in pushed.err
