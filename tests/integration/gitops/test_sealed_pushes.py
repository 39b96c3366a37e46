"""A Secret comes by ``git push``: sealed by the command, committed, pushed, read by a pod; and what is not let through."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.support.docker import IMAGE, import_image
from tests.support.installation import Installation
from tests.support.repository import Repository
from tests.support.wait import until

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "reader"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": [
                    "sh",
                    "-c",
                    'test "$(cat /s/password)" = "$PASSWORD" && echo "read $PASSWORD" && sleep 3600',
                ],
                "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
                "volumeMounts": [{"name": "s", "mountPath": "/s"}],
            }
        ],
        "volumes": [{"name": "s", "secret": {"secretName": "db"}}],
    },
}


def value(installation: Installation, namespace: str, name: str) -> str:
    """The password in a Secret."""
    data = installation.kubectl(namespace).json("get", "secret", name)["data"]
    return base64.b64decode(data["password"]).decode()


@pytest.mark.docker
def test_what_is_sealed_arrives_and_nothing_else(installation: Installation, namespace: str, tmp_path: Path) -> None:
    import_image()
    kubectl = installation.kubectl(namespace)
    work = Repository(installation, tmp_path / "work", namespace, "shop")
    plain = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "pushed"}}
    work.commit({"deploy/db.json": json.dumps(plain), "deploy/pod.json": json.dumps(POD)})

    refused = work.push()

    assert refused.code == 1
    command = f"moorage secrets seal --manifest deploy/db.json --in-place -n {namespace}"
    assert "a Secret in the clear (password) is not accepted from Git" in refused.err
    assert command in refused.err
    assert kubectl("get", "secrets,pods", "-o", "name") == ""

    # The very command that was printed.
    file = work.folder / "deploy" / "db.json"
    told = installation.do(command.removeprefix("moorage ").replace("deploy/db.json", str(file)))
    assert told == f"{file}: 1 sealed"
    work.do("add", "-A")
    work.do("commit", "-q", "--amend", "-m", "sealed")
    pushed = work.push()

    assert pushed.code == 0, pushed.err
    assert f"created     SealedSecret {namespace}/db" in pushed.err
    assert value(installation, namespace, "db") == "pushed"
    kubectl("wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")
    assert kubectl("logs", "reader") == "read pushed"
    application = kubectl.json("get", "application", "shop")["status"]
    assert application["resourceCount"] == 2

    # Another sealing key: what the old one sealed is applied as before.
    told = installation.do("secrets rotate-keys --sealing-key")
    assert "succeeded" in told
    kubectl("delete", "sealedsecret", "db")
    kubectl("wait", "--for=delete", "secret/db", "--timeout=30s")
    work.commit({}, "again")
    assert work.push().code == 0
    assert value(installation, namespace, "db") == "pushed"

    # Sealed for this place, it opens nowhere else.
    sealed = json.loads((work.folder / "deploy/db.json").read_text())
    sealed["metadata"]["name"] = "stolen"
    work.commit({"deploy/stolen.json": json.dumps(sealed)})
    stolen = work.push()
    assert stolen.code == 1
    assert f"deploy/stolen.json:1: SealedSecret {namespace}/stolen" in stolen.err
    assert "a sealed value opens in its own place only" in stolen.err
    other = Repository(installation, tmp_path / "other", f"{namespace}-b", "shop")
    kubectl("create", "namespace", other.namespace)
    sealed["metadata"].update(name="db", namespace=other.namespace)
    other.commit({"db.json": json.dumps(sealed)})
    moved = other.push()
    kubectl("delete", "namespace", other.namespace, "--wait=false")
    assert moved.code == 1
    assert "a sealed value opens in its own place only" in moved.err
    assert kubectl("get", "secrets", "-A", "-o", "name").count("stolen") == 0


def watching(name: str) -> str:
    """A Deployment without pods that rolls out when its Secret changes."""
    labels = {"app": name}
    container = {"name": "main", "image": IMAGE, "envFrom": [{"secretRef": {"name": "db"}}]}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "annotations": {"moorage.io/rollout-on-change": "secrets"}},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )


async def test_a_secret_and_what_watches_it_are_one_rollout(
    installation: Installation, namespace: str, tmp_path: Path
) -> None:
    """The hash is of what the same commit brings: no second rollout follows, and Git does not call it a change of somebody's."""
    kubectl = installation.kubectl(namespace)
    work = Repository(installation, tmp_path / "work", namespace, "shop")

    def sealed(password: str) -> str:
        return installation.do(f"secrets seal db password -n {namespace}", stdin=password)

    def rolled_out() -> list[str]:
        found = [
            each["spec"]["template"]["metadata"]["annotations"]["moorage.io/rollout-hash"]
            for each in kubectl.json("get", "replicasets", "--sort-by=.metadata.creationTimestamp")["items"]
        ]
        assert len(found) == len(set(found))
        return found

    def in_order(count: int) -> bool:
        assert len(rolled_out()) == count
        status = kubectl.json("get", "application", "shop")["status"]
        assert status["sync"]["status"] == "Synced", status
        return True

    work.commit({"web.json": watching("web"), "db.yaml": sealed("first")})
    assert work.push().code == 0
    await until(lambda: in_order(1), timeout=30, every=0.2)
    work.commit({"db.yaml": sealed("second")})
    pushed = work.push()
    assert f"configured  Deployment {namespace}/web" in pushed.err
    await until(lambda: in_order(2), timeout=30, every=0.2)
    # Sealed anew, the same value is other bytes in Git, and no other value.
    work.commit({"db.yaml": sealed("second")})
    assert work.push().code == 0
    assert in_order(2)
    # What the controller sees of all this is a rollout more only where a value has changed.
    work.commit({"db.yaml": sealed("third")})
    assert work.push().code == 0
    await until(lambda: in_order(3), timeout=30, every=0.2)
