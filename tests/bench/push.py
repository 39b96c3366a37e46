"""``git push`` to Running: a real push of a Deployment with one pod, timed until the pod runs and until Git returns."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from tests.bench.installation import Installation
from tests.bench.pods import IMAGE
from tests.support.wait import until

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: pushed
spec:
  replicas: 1
  selector: {{matchLabels: {{app: pushed}}}}
  template:
    metadata: {{labels: {{app: pushed}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - {{name: main, image: "{image}", imagePullPolicy: IfNotPresent, command: [/bin/sleep, "3600"], env: [{{name:
        ROUND, value: "{round}"}}]}}
"""


async def seconds(target: Installation, rounds: int = 5) -> tuple[float, float]:
    """Median seconds of (push returned, the new pod is Running) over ``rounds`` pushes of a changed manifest."""
    await target.post(
        "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench-push"}}
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        await _git(work, target, "init", "-q", "-b", "main")
        returned, running = [], []
        for number in range(rounds):
            (work / "app.yaml").write_text(MANIFEST.format(image=IMAGE, round=number))
            await _git(work, target, "add", ".")
            await _git(work, target, "commit", "-q", "-m", f"round {number}")
            start = time.monotonic()
            await _git(work, target, "push", "-q", f"{target.url}/git/bench-push/app.git", "main")
            returned.append(time.monotonic() - start)
            await _until_runs(target, str(number))
            running.append(time.monotonic() - start)
    return sorted(returned)[rounds // 2], sorted(running)[rounds // 2]


async def _until_runs(target: Installation, number: str) -> None:
    async def running() -> bool:
        return await _runs(target, number)

    await until(running, timeout=60, every=0.02)


async def _runs(target: Installation, number: str) -> bool:
    pods = (await target.get("/api/v1/namespaces/bench-push/pods"))["items"]
    new = [pod for pod in pods if {"name": "ROUND", "value": number} in pod["spec"]["containers"][0].get("env", [])]
    return any(pod.get("status", {}).get("phase") == "Running" for pod in new)


async def _git(work: Path, target: Installation, *arguments: str) -> None:
    helper = work / ".git-credentials"
    if not helper.exists():
        host = target.url.removeprefix("https://")
        helper.touch(0o600)
        helper.write_text(f"https://bench:{target.token}@{host}\n")
        (work / ".gitignore").write_text(".git-credentials\n.gitignore\n")
    settings = [
        f"credential.helper=store --file={helper}",
        "user.name=bench", "user.email=bench@example.invalid",
    ]  # fmt: skip
    options = [part for setting in settings for part in ("-c", setting)]
    process = await asyncio.create_subprocess_exec(
        "git", *options, *arguments, cwd=work, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        # The variable, not http.sslCAInfo: where a machine sets it, it wins over the setting.
        env={**os.environ, "GIT_SSL_CAINFO": str(target.ca_file), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull},
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    if process.returncode:
        raise RuntimeError(f"git {arguments[0]} failed:\n{output}")
