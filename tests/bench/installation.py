"""An installation to measure: ``moorage up --detach`` in a folder of its own, ended and removed afterwards."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

LOG_CHARACTERS = 20_000
"""How much of an installation's log a failure shows."""
MOORAGE = str(Path(sys.executable).with_name("moorage"))


@dataclass(frozen=True, slots=True)
class Installation:
    """A running platform and the admin's way in."""

    data_dir: Path
    url: str
    token: str
    ca_file: Path
    session: aiohttp.ClientSession

    async def post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Create an object. Raises RuntimeError with the Status' message where it is refused."""
        async with self.session.post(self.url + path, json=document) as response:
            answer: dict[str, Any] = await response.json()
            if response.status not in (200, 201, 409):
                raise RuntimeError(f"{path}: {answer.get('message')}")
            return answer

    async def get(self, path: str) -> dict[str, Any]:
        """Read an object or a list."""
        async with self.session.get(self.url + path) as response:
            document: dict[str, Any] = await response.json()
            return document

    async def restart(self) -> float:
        """Stop and start again; seconds until ready."""
        await command("down", "--data-dir", str(self.data_dir))
        start = time.monotonic()
        await _up(self.data_dir, self.url.removeprefix("https://"), node=True)
        return time.monotonic() - start


@asynccontextmanager
async def installation(*, node: bool = True) -> AsyncIterator[Installation]:
    """A fresh installation, with one node named ``bench`` or with none."""
    data_dir = Path(tempfile.mkdtemp(prefix="moorage-bench-"))
    try:
        await _up(data_dir, f"127.0.0.1:{free_port()}", node=node)
        config = yaml.safe_load((data_dir / "kubeconfig").read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        ca_file = data_dir / "bench-ca.crt"
        ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        tls = ssl.create_default_context(cafile=str(ca_file))
        headers = {"Authorization": f"Bearer {user['token']}"}
        connector = aiohttp.TCPConnector(ssl=tls, limit=128)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            yield Installation(data_dir, cluster["server"], user["token"], ca_file, session)
    except BaseException:
        print(await command("logs", "--data-dir", str(data_dir), limit=LOG_CHARACTERS))
        raise
    finally:
        await command("down", "--data-dir", str(data_dir))
        await command("remove", "--yes", "--data-dir", str(data_dir))
        shutil.rmtree(data_dir, ignore_errors=True)


async def command(*arguments: str, limit: int = 10**6) -> str:
    """Run ``moorage`` with ``arguments``; the last ``limit`` characters of its output. Raises RuntimeError where it fails."""
    process = await asyncio.create_subprocess_exec(
        MOORAGE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    if process.returncode:
        raise RuntimeError(f"moorage {' '.join(arguments)} failed:\n{output}")
    return output[-limit:]


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _up(data_dir: Path, listen: str, *, node: bool) -> None:
    nodes = ["--node", "bench"] if node else ["--no-node"]
    await command("up", "--data-dir", str(data_dir), "--listen", listen, *nodes, "--detach")
