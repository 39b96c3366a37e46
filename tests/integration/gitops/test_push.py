"""Pushes that deploy."""

from __future__ import annotations

from tests.integration.gitops.manifests import config_map, deployment
from tests.integration.gitops.rig import Rig, Work


async def test_a_push_becomes_objects_of_one_commit(rig: Rig, work: Work) -> None:
    files = {f"deploy/cm{i}.yaml": config_map(f"cm{i}", key=str(i)) for i in range(19)}
    commit = await work.commit({**files, "deploy/web.yaml": deployment(), "README.md": "# web"})

    pushed = await work.push(rig.url())

    print(pushed.err)
    assert pushed.code == 0, pushed.err
    assert "20 objects read from 20 files" in pushed.err
    assert "created     Deployment shop/web" in pushed.err
    assert len(rig.names("", "configmaps")) == 19
    (uid,) = {owner for owner, _ in rig.store.rows}
    assert rig.store.rows[uid, "refs/heads/main"] == commit
    # 20 objects, the Application's and the Repository's status: one commit, one range of revisions.
    written = [verdict.revision for verdict in rig.store.commits[-1]]
    assert written == list(range(written[0], written[0] + 22))
    application = rig.get("gitops.moorage.io", "applications", "shop", "web")
    assert application is not None
    assert application["status"]["revision"] == commit
