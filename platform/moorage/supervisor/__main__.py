"""The detached supervisor: options as JSON on its standard input, news of the start on an inherited pipe."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from moorage.supervisor.detach import STATUS_VARIABLE
from moorage.supervisor.layout import SetupError
from moorage.supervisor.log import configure
from moorage.supervisor.options import Options
from moorage.supervisor.supervise import StartFailed, Supervisor


class _News:
    """The pipe to whoever started us; closed after the last news, or where nobody listens any more."""

    def __init__(self) -> None:
        self._pipe: int | None = int(os.environ.pop(STATUS_VARIABLE))
        os.set_inheritable(self._pipe, False)

    def progress(self, part: str, state: str) -> None:
        self.send({"part": part, "state": state}, last=not part)

    def send(self, message: dict[str, Any], *, last: bool) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            last = True
        if last:
            os.close(self._pipe)
            self._pipe = None


def main() -> int:
    """Run the supervisor; its exit code."""
    configure()
    news = _News()
    options = Options.decode(sys.stdin.read())
    try:
        asyncio.run(Supervisor(options, news.progress).run())
    except (SetupError, StartFailed) as error:
        news.send({"error": str(error), "setup": isinstance(error, SetupError)}, last=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
