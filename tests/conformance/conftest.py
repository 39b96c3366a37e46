"""Fixtures of the tests with the real kubectl."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.docker import IMAGE, busybox_archive


@pytest.fixture(scope="session")
def image() -> str:
    """A small image with a shell and httpd, in the engine."""
    present = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    if present.returncode != 0:
        subprocess.run(["docker", "import", "-", IMAGE], input=busybox_archive(), capture_output=True, check=True)
    return IMAGE
