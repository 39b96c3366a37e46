"""More nodes for an installation that runs: on the same engine, or apart with an engine and a network of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moorage_agent.network.making import obstacle
from tests.support.docker import IMAGE, busybox_archive
from tests.support.installation import MOORAGE, Installation, moorage
from tests.support.kubectl import Result
from tests.support.leftovers import links_of, marked_folder, still_there

END_SECONDS = 120.0


def missing() -> str:
    """Why there can be no node apart here; "" where there can."""
    programs = [each for each in ("dockerd", "containerd", "nsenter") if shutil.which(each) is None]
    return obstacle("unix:///var/run/docker.sock") or (f"there is no {' and no '.join(programs)}" if programs else "")


@dataclass(frozen=True)
class MoreNode:
    """A node that runs; ``engine`` is the address of its own engine, "" where it shares the machine's."""

    name: str
    data: Path
    engine: str
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """What its agent has written."""
        return (self.data.parent / "log").read_text(errors="replace")[-5000:]

    def import_image(self) -> None:
        """Have the tests' image in its engine."""
        command = ["docker", "--host", self.engine, "import", "-", IMAGE]
        subprocess.run(command, input=busybox_archive(), capture_output=True, check=True)


@contextmanager
def more_node(installation: Installation, name: str, *, apart: bool, resolver: str = "") -> Iterator[MoreNode]:
    """Start ``moorage agent`` with a join token; at the end it and all that it made are removed. It may not be ready yet.

    ``resolver`` is asked for names of others in place of the machine's own.
    """
    with marked_folder("moorage-node-", _remove) as folder:
        data, token = folder / "data", folder / "token"
        installation.do("tokens create", "--node", name, "--out", str(token))
        command = [MOORAGE, "agent", "--server", installation.url, "--token-file", str(token), "--node", name]
        command += ["--data-dir", str(data), *(["--apart"] if apart else [])]
        if resolver:
            (folder / "resolv.conf").write_text(f"nameserver {resolver}\nsearch outside.example\n")
            command += ["--resolv-conf", f"{folder}/resolv.conf"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        engine = f"unix://{data}/engine/docker.sock" if apart else ""
        made = MoreNode(name, data, engine, process)
        try:
            yield made
        except BaseException:
            print(made.log())
            raise
        finally:
            process.terminate()
            process.wait(END_SECONDS)
            links = links_of(data)
            removed = _remove(folder)
            assert removed.code == 0, removed.err
            assert still_there(links) == []


def _remove(folder: Path) -> Result:
    return moorage("remove", "--yes", "--data-dir", str(folder / "data"))
