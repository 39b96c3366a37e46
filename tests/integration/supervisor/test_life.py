"""Installations of their own: start, crash, carry on, run side by side, end."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moorage.supervisor.postgres import Postgres
from moorage.supervisor.process_table import ProcessId
from tests.support.installation import Installation, new_installation
from tests.support.wait import until


@pytest.fixture
def house() -> Iterator[Installation]:
    """Room for an installation that this test may break."""
    with new_installation() as made:
        yield made


def record(house: Installation) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((house.data_dir / "run" / "supervisor.json").read_text())
    return document


def processes(house: Installation) -> dict[str, ProcessId]:
    found = {part["name"]: ProcessId(part["pid"], part["started"]) for part in record(house)["parts"]}
    return found | {"supervisor": ProcessId(**record(house)["supervisor"])}


def test_detach_returns_when_everything_is_ready_and_a_second_start_carries_on(house: Installation) -> None:
    out = house.up("--no-node")
    assert "ready after" in out
    assert house.url in out
    kubectl = house.kubectl("default")
    kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"}}')
    uid = kubectl("get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}")
    ran = processes(house)
    assert all(process.alive for process in ran.values())

    assert house.do("down") == "ended"
    assert not any(process.alive for process in ran.values())
    assert Postgres(house.data_dir).processes() == {}
    assert house.do("down").startswith("nothing runs in ")

    house.up("--no-node")
    assert kubectl("get", "configmap", "kept", "-o", "jsonpath={.metadata.uid}") == uid


def test_a_killed_supervisor_takes_its_parts_along_and_the_next_start_recovers(house: Installation) -> None:
    house.up("--no-node")
    kubectl = house.kubectl("default")
    kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"}}')
    before = processes(house)
    os.kill(before["supervisor"].pid, signal.SIGKILL)
    assert house.run("status").code == 1
    house.up("--no-node")
    after = processes(house)
    assert not any(process.alive for process in before.values())
    assert all(process.alive for process in after.values())
    assert set(Postgres(house.data_dir).processes()) >= {after["postgres"].pid}
    assert kubectl("get", "configmap", "kept", "-o", "name") == "configmap/kept"


async def test_a_killed_part_is_started_again(house: Installation) -> None:
    house.up("--no-node")
    kubectl = house.kubectl()
    for name in ("controllers", "server", "postgres"):
        before = processes(house)[name]
        os.kill(before.pid, signal.SIGKILL)

        def back(name: str = name, before: ProcessId = before) -> bool:
            state = {part["name"]: part for part in record(house)["parts"]}[name]
            assert state["state"] == "ready", state
            return bool(state["pid"] != before.pid)

        await until(back)
        await until(lambda: kubectl.attempt("get", "namespaces").code == 0)
    assert "ended by signal SIGKILL" in (house.data_dir / "moorage.log").read_text()


def test_installations_run_side_by_side(house: Installation) -> None:
    with new_installation() as other:
        house.up("--no-node")
        other.up("--no-node")
        for one in (house, other):
            assert json.loads(one.do("status", "--output", "json"))["ready"] is True
            one.kubectl()("create", "-f", "-", stdin=_namespace(f"of-{one.port}"))
        assert other.kubectl().attempt("get", "namespace", f"of-{house.port}").code == 1
        assert house.request("GET", "/api/v1/nodes", other.token())[0] == 401
        other.do("down")
        assert house.kubectl()("get", "namespace", f"of-{house.port}", "-o", "name")


def test_one_data_directory_has_one_installation(house: Installation) -> None:
    house.up("--no-node")
    again = house.run("up", "--detach", "--no-node", "--listen", f"127.0.0.1:{house.port}")
    assert again.code == 1
    assert "is already running" in again.err
    assert "moorage down --data-dir" in again.err
    assert house.do("status")


def test_a_port_in_use_is_said_and_nothing_is_left_running(house: Installation) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", house.port))
        other.listen()
        refused = house.run("up", "--detach", "--no-node", "--listen", f"127.0.0.1:{house.port}")
    assert refused.code == 1
    assert f"another program already listens on 127.0.0.1:{house.port}" in refused.err
    assert Postgres(house.data_dir).processes() == {}


def test_a_part_that_cannot_start_is_shown_with_its_last_words(house: Installation) -> None:
    house.up("--no-node")
    house.do("down")
    kek = house.data_dir / "kek"
    kept = kek.read_text()
    kek.write_text("canary, not a key")
    refused = house.run("up", "--detach", "--no-node", "--listen", f"127.0.0.1:{house.port}")
    assert refused.code == 1
    assert "server refuses to start; its last log lines:" in refused.err
    assert "must hold key-encryption keys of 64 hexadecimal digits" in refused.err
    assert "canary" not in refused.err
    assert Postgres(house.data_dir).processes() == {}
    kek.write_text(kept)
    house.up("--no-node")


def test_a_database_of_ones_own(house: Installation, tmp_path: Path, postgres_cluster: Postgres) -> None:
    from tests.support.postgres import create_database, drop_database

    name = create_database(postgres_cluster, "template1")
    try:
        house.up("--no-node", "--database-url", postgres_cluster.url_for(name))
        assert {part["name"] for part in record(house)["parts"]} == {"server", "controllers"}
        assert not (house.data_dir / "postgres").exists()
        house.do("down")
    finally:
        drop_database(postgres_cluster, name)


def test_a_database_that_refuses_is_said_at_once(house: Installation, postgres_cluster: Postgres) -> None:
    url = postgres_cluster.url_for("missing")
    refused = house.run("up", "--detach", "--no-node", "--listen", f"127.0.0.1:{house.port}", "--database-url", url)
    assert refused.code == 1
    assert "the database refuses us" in refused.err
    assert 'database "missing" does not exist' in refused.err


@pytest.mark.docker
async def test_down_ends_the_pods_and_up_brings_them_back(house: Installation) -> None:
    from moorage_agent.engine.docker import DockerEngine
    from tests.conformance.manifests import deployment
    from tests.support.docker import IMAGE, containers, ensure_images

    engine = DockerEngine()
    try:
        await ensure_images(engine)
    finally:
        await engine.close()
    house.up("--node", "life")
    kubectl = house.kubectl("default")
    kubectl("apply", "-f", "-", stdin=deployment("web", IMAGE))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    owner = json.loads((house.data_dir / "agents" / "life" / "identity.json").read_text())
    label = f"moorage.io/cluster-uid={owner['cluster']}"
    running = containers(label, running=True)
    assert len(running) == 2

    supervisor = processes(house)["supervisor"]
    os.kill(supervisor.pid, signal.SIGKILL)
    assert containers(label, running=True) == running
    house.up("--node", "life")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert containers(label, running=True) == running

    assert house.do("down") == "ended, with 2 containers"
    assert containers(label, running=True) == []
    house.up("--node", "life")

    def again() -> bool:
        assert len(containers(label, running=True)) == 2
        return kubectl("get", "deployment", "web", "-o", "jsonpath={.status.availableReplicas}") == "1"

    await until(again, timeout=60)


def _namespace(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
