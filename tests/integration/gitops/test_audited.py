"""What the audit tells of pushes: each object's row names the commit, the pusher and where it came from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from moorage.api.config import ApiConfig
from moorage.client.api import ApiClient
from moorage.client.resource import NAMESPACES
from moorage.store import PostgresStore
from moorage.store.audit_log import AuditQuery, AuditRow
from moorage_tenants.audit import TableAuditor
from tests.integration.gitops.hosted import Hosted, serve_git
from tests.integration.gitops.manifests import config_map
from tests.integration.gitops.rig import Work
from tests.support.certificates import Certificates

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: canary-77}\n"


async def audited(config: ApiConfig) -> ApiConfig:
    """``config`` with the audit that keeps what it is told."""
    assert isinstance(config.store, PostgresStore)
    return replace(config, auditor=TableAuditor(config.store.audit_chain))


@pytest.fixture
async def hosted(database_url: str, certificates: Certificates, tmp_path: Path, work: Work) -> AsyncIterator[Hosted]:
    """A server with namespace ``shop`` that keeps its audit; ``work`` trusts its CA."""
    await work.git("config", "http.sslCAInfo", str(certificates.ca))
    async with serve_git(database_url, certificates, tmp_path / "git", compose=audited) as hosted:
        async with ApiClient(hosted.api.url, token="admin-token", ca_file=hosted.ca) as client:
            await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        yield hosted


async def rows(hosted: Hosted, *, resource: str = "", verb: str = "", user: str = "") -> Sequence[AuditRow]:
    """Rows of namespace ``shop``, oldest first."""
    await hosted.api.store.audit_chain.flush()
    query = AuditQuery(namespaces={"shop": 0.0}, resource=resource, verb=verb, user=user)
    found, _ = await hosted.api.store.audit.rows(query)
    return found[::-1]


async def head(work: Work) -> str:
    """The commit that is checked out."""
    return (await work.git("rev-parse", "HEAD")).out.strip()


async def test_a_push_leaves_a_row_for_each_object_and_one_for_the_ref(hosted: Hosted, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    assert (await work.push(hosted.url())).code == 0
    commit = await head(work)
    made = await rows(hosted, resource="configmaps")
    assert [(row.name, row.verb, row.source_commit, row.actor) for row in made] == [
        ("a", "create", commit, "admin"),
        ("b", "create", commit, "admin"),
    ]
    (pushed,) = await rows(hosted, verb="push")
    assert (pushed.namespace, pushed.name, pushed.source_commit) == ("shop", "web", commit)
    assert (pushed.detail["ref"], pushed.detail["oldCommit"]) == ("refs/heads/main", "")
    for row in (*made, pushed):
        assert ip_address(row.detail["sourceIP"]).version in (4, 6)
        assert row.detail["userAgent"].startswith("git/")
        assert row.request_id == pushed.request_id


async def test_a_refused_push_leaves_a_row_and_none_of_what_it_held(hosted: Hosted, work: Work) -> None:
    await work.commit({"s.yaml": SECRET})
    assert (await work.push(hosted.url())).code != 0
    (refused,) = [row for row in await rows(hosted, resource="repositories") if row.subresource == "push"]
    assert (refused.actor, refused.verb, refused.name) == ("admin", "create", "web")
    assert (refused.code, refused.source_commit) == (422, await head(work))
    assert ip_address(refused.detail["sourceIP"]).version in (4, 6)
    assert not [row for row in await rows(hosted) if "canary-77" in repr(row)]
    assert not await rows(hosted, verb="push")


async def test_a_bad_token_leaves_a_row_and_a_missing_one_none(hosted: Hosted, work: Work) -> None:
    await work.git("ls-remote", hosted.url(token="made-up-token"), check=False)
    told = await rows(hosted, user="system:anonymous")
    assert told
    assert {(row.allowed, row.code, row.name, row.verb) for row in told} == {(False, 401, "web", "get")}
    assert "made-up-token" not in repr(told)
    assert told[0].detail["reason"] == "the credentials were not accepted"
