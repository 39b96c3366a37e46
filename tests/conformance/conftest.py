"""Fixtures of the tests against a whole installation: its API, a namespace per test or per file, an image with a shell."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.docker import IMAGE, busybox_archive
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.rest import Rest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def image() -> str:
    """A small image with a shell and httpd, in the engine."""
    present = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    if present.returncode != 0:
        subprocess.run(["docker", "import", "-", IMAGE], input=busybox_archive(), capture_output=True, check=True)
    return IMAGE


@pytest.fixture(scope="session")
def api(installation: Installation) -> Iterator[Rest]:
    """The API as administrator."""
    made = Rest(installation)
    yield made
    made.close()


@pytest.fixture(scope="module")
def space(api: Rest, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that the tests of a file share."""
    name = f"{request.module.__name__.rpartition('.')[2].replace('_', '-')}-{next(_numbers)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def shared(installation: Installation, space: str) -> Kubectl:
    """kubectl as administrator in the namespace that the tests of a file share."""
    return installation.kubectl(space)
