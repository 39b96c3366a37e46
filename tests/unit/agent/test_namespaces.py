"""When a sandbox's network may be used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moorage_agent.pods import namespaces
from moorage_agent.pods.labels import Owner
from moorage_agent.pods.networking import NetworkError
from moorage_agent.pods.spec import Identity, sandbox_spec


def process(proc: Path, pid: str, network: str, rights: str = "0", parent: str = "1") -> None:
    """A process as ``/proc`` shows it."""
    folder = proc / pid
    (folder / "ns").mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text(f"Name:\tpause\nPPid:\t{parent}\nCapPrm:\t{rights}\n")
    link = folder / "ns" / "net"
    link.unlink(missing_ok=True)
    link.symlink_to(f"net:[{network}]")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process(tmp_path, "self", "1")
    process(tmp_path, "1", "1")
    return tmp_path


async def test_a_namespace_of_its_own_is_used(proc: Path) -> None:
    process(proc, "7", "2")
    await namespaces.settled(7, proc)


async def test_rights_are_waited_out(proc: Path) -> None:
    process(proc, "7", "1", "200000")
    waiting = asyncio.create_task(namespaces.settled(7, proc))
    await asyncio.wait((waiting,), timeout=0.02)
    assert not waiting.done()
    process(proc, "7", "2")
    await waiting


async def test_the_machines_network_is_never_taken(proc: Path) -> None:
    process(proc, "7", "1")
    with pytest.raises(NetworkError, match="no network namespace of its own"):
        await namespaces.settled(7, proc)


async def test_nor_that_of_who_started_it(proc: Path) -> None:
    process(proc, "5", "9")
    process(proc, "7", "9", parent="5")
    with pytest.raises(NetworkError, match="no network namespace of its own"):
        await namespaces.settled(7, proc)


async def test_one_that_ended_is_said(proc: Path) -> None:
    with pytest.raises(NetworkError, match="has ended"):
        await namespaces.settled(8, proc)


@pytest.mark.parametrize(
    ("spec", "network", "mode", "rights"),
    [
        ({}, "none", "host", ("SYS_ADMIN",)),
        ({}, "bridge", "bridge", ()),
        ({"hostNetwork": True}, "none", "host", ()),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]}}, "none", "none", ()),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "none", "host", ("SYS_ADMIN",)),
    ],
)
def test_who_makes_the_network(spec: dict[str, object], network: str, mode: str, rights: tuple[str, ...]) -> None:
    metadata = {"name": "p", "namespace": "n", "uid": "u"}
    made = sandbox_spec(
        {"metadata": metadata, "spec": {"containers": [], **spec}},
        Identity(Owner("c", "n"), "u"),
        "image",
        0,
        hostname="p",
        network=network,
    )
    assert (made.network, tuple(made.security.add)) == (mode, rights)
