"""Loads by wrk: one thread, TLS, a fixed number of connections and seconds."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path

LOADS = Path(__file__).parent / "loads"


@dataclass(frozen=True, slots=True)
class Result:
    """Requests a second, and latencies in wrk's notation."""

    rate: float
    p50: str
    p99: str

    def __str__(self) -> str:
        return f"{self.rate:,.{0 if self.rate > 100 else 1}f}/s (p50 {self.p50}, p99 {self.p99})"


async def run(
    load: str, url: str, token: str, *, connections: int = 32, seconds: int = 10, **environment: str
) -> Result:
    """Run a load from ``loads/`` against ``url``. Raises RuntimeError with wrk's output where it failed or an answer
    was an error.
    """
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(LOADS / load), url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, "TOKEN": token, **environment},
    )  # fmt: skip
    text = (await process.communicate())[0].decode()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if process.returncode or rate is None or "Non-2xx" in text:
        raise RuntimeError(f"wrk {load} on {url} failed:\n{text}")
    return Result(float(rate[1]), _latency(text, 50), _latency(text, 99))


def _latency(text: str, percentile: int) -> str:
    found = re.search(rf"\s{percentile}%\s+(\S+)", text)
    return found[1] if found else "?"
