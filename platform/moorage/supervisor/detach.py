"""``moorage up --detach``: a supervisor in the background, and the news of its start from a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from moorage.supervisor.layout import Layout, SetupError
from moorage.supervisor.options import Options
from moorage.supervisor.supervise import Progress, StartFailed

STATUS_VARIABLE = "MOORAGE_STATUS_FD"


def start(options: Options, layout: Layout, progress: Progress) -> None:
    """Start a supervisor and return when everything is ready. Raises SetupError and StartFailed as it would itself."""
    layout.make()
    reader, writer = os.pipe()
    with layout.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moorage.supervisor"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(writer,),
            env={**os.environ, STATUS_VARIABLE: str(writer)},
            start_new_session=True,
            cwd="/",
        )
    os.close(writer)
    layout.log.chmod(0o600)
    assert process.stdin is not None
    process.stdin.write(options.encode().encode())
    process.stdin.close()
    try:
        _follow(reader, process, layout, progress)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _follow(reader: int, process: subprocess.Popen[bytes], layout: Layout, progress: Progress) -> None:
    with os.fdopen(reader, "r", encoding="utf-8") as news:
        for line in news:
            message = json.loads(line)
            if "error" in message:
                process.wait()
                raise (SetupError if message["setup"] else StartFailed)(message["error"])
            progress(message["part"], message["state"])
            if not message["part"] and message["state"] == "ready":
                process.returncode = 0  # it lives on; no warning about a child that nobody waited for
                return
    raise StartFailed(f"the supervisor ended with exit code {process.wait()}; see {layout.log}")
