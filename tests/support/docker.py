"""A real Docker Engine for tests: an image made here from Debian's busybox-static, and nobody's containers but our own.

Every container that a test makes carries a label with a value of that test's own; the fixture removes those at its end.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from moorage_agent.engine import pause
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.engine.groups import ROOT, Groups, prefix_of
from moorage_agent.pods.labels import CLUSTER

BUSYBOX = Path("/bin/busybox")
IMAGE = "moorage-test/busybox:1"
"""Small, static, with a shell, httpd and the rest of busybox at ``/bin``; never pulled."""
TEST_LABEL = "moorage-test"


def busybox_archive() -> bytes:
    """A root file system: busybox, a link for each of its applets, ``/tmp`` and ``/etc/passwd``."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for name in applets:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
        passwd = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(passwd)
        tar.addfile(entry, io.BytesIO(passwd))
    return buffer.getvalue()


def import_image() -> None:
    """Have ``IMAGE`` in the engine."""
    present = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    if present.returncode != 0:
        subprocess.run(["docker", "import", "-", IMAGE], input=busybox_archive(), capture_output=True, check=True)


def docker(*arguments: str) -> str:
    """Run the ``docker`` program; its output. An independent witness of what the agent did."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def containers(*labels: str, running: bool = False) -> list[str]:
    """Ids of containers that carry all of ``labels`` (``NAME=VALUE``)."""
    filters = [word for label in labels for word in ("--filter", f"label={label}")]
    return docker("ps", "-q", "--no-trunc", *([] if running else ["-a"]), *filters).split()


@dataclass
class Owned:
    """What a test may make: containers with one of these labels are removed at its end."""

    cluster: str = field(default_factory=lambda: f"test-{uuid.uuid4()}")
    others: list[str] = field(default_factory=list)

    def another(self) -> str:
        """A second cluster's uid."""
        self.others.append(f"test-{uuid.uuid4()}")
        return self.others[-1]

    @property
    def labels(self) -> dict[str, str]:
        """Labels for containers that a test makes by hand."""
        return {TEST_LABEL: self.cluster}

    def remove(self) -> None:
        """Remove them all."""
        for name in (CLUSTER, TEST_LABEL):
            for cluster in (self.cluster, *self.others):
                found = containers(f"{name}={cluster}")
                if found:
                    docker("rm", "-f", "-v", *found)
        for cluster in (self.cluster, *self.others):
            for group in ROOT.glob(f"*/{prefix_of(cluster)}-*"):
                Groups(group.name).remove()


@pytest.fixture
def owned() -> Iterator[Owned]:
    """Labels of this test's own."""
    mine = Owned()
    yield mine
    mine.remove()


@pytest.fixture
async def docker_engine() -> AsyncIterator[DockerEngine]:
    """The machine's Docker Engine, with the test image and the sandbox image in it."""
    engine = DockerEngine()
    try:
        await ensure_images(engine)
        yield engine
    finally:
        await engine.close()


async def ensure_images(engine: DockerEngine) -> None:
    """Make the images that tests need, unless they are there."""
    if await engine.image(IMAGE) is None:
        await engine.import_image(IMAGE, busybox_archive(), [])
    if await engine.image(pause.reference()) is None:
        await engine.import_image(pause.reference(), pause.archive(), ["/pause"])
