"""Secrets stay secret: a canary is put wherever secrets go, and then looked for wherever they must not be."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from moorage.supervisor.postgres import SUPERUSER, Postgres
from tests.support.docker import IMAGE, ensure_images
from tests.support.installation import Installation


def files(root: Path) -> Iterator[Path]:
    """Every file below ``root`` on disk: what is mounted there (memory of pods) is not."""
    device = root.stat().st_dev
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if (Path(folder) / name).lstat().st_dev == device]
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def holders(root: Path, needles: list[bytes]) -> list[Path]:
    """The files that hold one of ``needles``."""
    return [path for path in files(root) if any(needle in path.read_bytes() for needle in needles)]


def command_lines() -> Iterator[bytes]:
    """The arguments of every process on this machine (kubectl, which this test gave the canary, has ended)."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield entry.read_bytes()
        except OSError:
            continue


@pytest.mark.docker
async def test_a_secret_is_nowhere_on_disk_in_logs_or_arguments(installation: Installation, namespace: str) -> None:
    from moorage_agent.engine.docker import DockerEngine

    engine = DockerEngine()
    try:
        await ensure_images(engine)
    finally:
        await engine.close()
    canary = f"canary-{secrets.token_hex(8)}"
    kubectl = installation.kubectl(namespace)
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": canary}}
    kubectl("apply", "-f", "-", stdin=json.dumps(document))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(document))
    kubectl("annotate", "secret", "s", "try=1")
    refused = kubectl.attempt("patch", "secret", "s", "--type=merge", "-p", json.dumps({"data": {"password": canary}}))
    assert refused.code == 1
    assert canary not in refused.err
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", "test -s /secret/password && sleep 3600"],
        "volumeMounts": [{"name": "s", "mountPath": "/secret"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "s", "secret": {"secretName": "s"}}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"}, "spec": spec}
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")
    assert kubectl.json("get", "secret", "s")["data"]["password"] == base64.b64encode(canary.encode()).decode()

    database = Postgres(installation.data_dir)
    with psycopg.connect(database.url_for("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    encoded = base64.b64encode(canary.encode())
    needles = [canary.encode(), encoded, base64.b64encode(encoded), canary.encode().hex().encode()]
    assert holders(installation.data_dir, needles) == []
    assert holders(database.place.data, needles) == []
    assert not any(needle in arguments for needle in needles for arguments in command_lines())


def test_tokens_are_in_their_own_files_only(installation: Installation, tmp_path: Path) -> None:
    root = installation.data_dir
    assert {path.name for path in holders(root, [installation.token().encode()])} == {"admin", "kubeconfig"}
    for name in ("controllers", "node-test-node"):
        assert [path.name for path in holders(root, [installation.token(name).encode()])] == [name]
    out = tmp_path / "token"
    installation.do("tokens create", "--team", "canary", "--out", str(out))
    assert holders(root, [out.read_text().strip().encode()]) == []
    kek = (root / "kek").read_text().strip()
    assert [path.name for path in holders(root, [kek.encode(), bytes.fromhex(kek)])] == ["kek"]


def test_files_of_the_installation_are_private(installation: Installation) -> None:
    for path in files(installation.data_dir):
        relative = path.relative_to(installation.data_dir)
        if relative.parts[0] in {"tokens", "kek", "kubeconfig", "moorage.log", "audit.log", "bootstrap-tokens.json"}:
            assert path.stat().st_mode & 0o077 == 0, relative
        if path.suffix == ".key":
            assert path.stat().st_mode & 0o077 == 0, relative
