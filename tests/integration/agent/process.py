"""An agent as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from moorage_agent.options import AgentOptions
from tests.support.wait import until

_MAIN = """
import asyncio, logging, sys
from pathlib import Path
from moorage_agent import AgentOptions, run
server, ca, data, node, cluster, ready = sys.argv[1:7]
logging.basicConfig(level=logging.INFO)
asyncio.run(run(AgentOptions(
    server=server, token_file=Path(data) / "token", ca_file=Path(ca), data_dir=Path(data), node=node, cluster_uid=cluster,
    address="127.0.0.1", orphan_grace=1.0, engine_network=True, on_ready=Path(ready).touch,
)))
"""


class AgentProcess:
    """``python -c`` around ``moorage_agent.run``."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._log: Path = options.data_dir / "agent.log"

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        options = self._options
        options.data_dir.mkdir(parents=True, exist_ok=True)
        (options.data_dir / "token").write_text(options.token)
        ready = options.data_dir / "ready"
        ready.unlink(missing_ok=True)
        words = (
            options.server,
            str(options.ca_file),
            str(options.data_dir),
            options.node,
            options.cluster_uid,
            str(ready),
        )
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _MAIN, *words, stdout=log, stderr=log
            )

        def started() -> bool:
            assert self._process is not None
            assert self._process.returncode is None, self._log.read_text()
            return ready.exists()

        await until(started)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
