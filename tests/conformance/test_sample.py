"""The sample application, as ``make up`` deploys it: an image made here, a real push, a page that answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.installation import Installation, free_port
from tests.support.wait import until

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "deploy_sample.py"


def deploy(installation: Installation, port: int) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--data-dir", str(installation.data_dir), "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, f"{done.stdout}\n{installation.log()}"
    return done.stdout


def page(port: int) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://127.0.0.1:{port}/", timeout=5
    ) as got:
        return str(got.read().decode())


@pytest.mark.docker
async def test_the_sample_is_deployed_changed_and_refused(installation: Installation) -> None:
    port = free_port()
    out = deploy(installation, port)
    assert "remote:   created     Deployment hello/hello" in out
    assert f"hello is deployed: http://127.0.0.1:{port}/" in out
    assert "This page came with a git push." in out
    assert f"kubeconfig: {installation.data_dir / 'kubeconfig'}" in out
    again = deploy(installation, port)
    assert "Everything up-to-date" in again

    work = installation.data_dir / "sample" / "hello"
    for file in (work.parent / "credentials", work.parent / "team.kubeconfig"):
        assert file.stat().st_mode & 0o777 == 0o600

    def change(file: str, before: str, after: str) -> str:
        path = work / file
        path.write_text(path.read_text().replace(before, after))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        # Companies set it in every shell, to a bundle that does not know this platform.
        environment["GIT_SSL_CAINFO"] = str(installation.data_dir / "pki" / "client-ca.crt")
        for arguments in (["commit", "-qam", "change"], ["push"]):
            done = subprocess.run(
                ["git", "-C", str(work), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                env=environment,
            )
        return done.stdout

    said = change("page.yaml", "with a git push", "with another push")
    assert re.search(r"remote:   configured  ConfigMap hello/page", said)
    await until(lambda: "with another push" in page(port), timeout=90)
    refused = change("deployment.yaml", "replicas: 1", "replicas: many")
    assert "! [remote rejected] main -> main" in refused
    assert "deployment.yaml:8" in refused
    assert 'spec.replicas: Invalid value: "many"' in refused
    assert "with another push" in page(port)
    applications = installation.kubectl("hello")("get", "applications", "--no-headers").split()
    assert applications[:3] == ["hello", "Synced", "Healthy"]
