"""A Git repository of a user of an installation: files are committed and pushed by the real ``git``, over TLS, with a token."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.installation import Installation
from tests.support.kubectl import Result

_PERSON = {f"GIT_{who}_{what}": "dev@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree whose ``push`` goes to ``git/NAMESPACE/NAME.git``, by the administrator without a ``token``."""

    installation: Installation
    folder: Path
    namespace: str
    name: str
    token: str = ""

    def git(self, *arguments: str) -> Result:
        """Run git; may fail."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=self._environment(),
        )
        return Result(done.returncode, done.stdout.rstrip("\n"), done.stderr.rstrip("\n"))

    def do(self, *arguments: str) -> str:
        """The same; fails the test where it fails."""
        result = self.git(*arguments)
        assert result.code == 0, f"git {' '.join(arguments)}: exit code {result.code}\n{result.out}\n{result.err}"
        return result.out

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        """Write and commit ``files``; the commit's id."""
        if not (self.folder / ".git").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.do("init", "-q", "-b", "main")
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.do("add", "-A")
        self.do("commit", "-q", "--allow-empty", "-m", message)
        return self.do("rev-parse", "HEAD")

    def push(self, *options: str) -> Result:
        """Push ``main``; may fail."""
        return self.git("push", *options, self.url, "main")

    @property
    def url(self) -> str:
        """Where it is pushed to."""
        return f"{self.installation.url}/git/{self.namespace}/{self.name}.git"

    def _environment(self) -> dict[str, str]:
        token = self.token or self.installation.token()
        basic = base64.b64encode(f"git:{token}".encode()).decode()
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSL_CAINFO": str(self.installation.data_dir / "pki" / "ca.crt"),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            "no_proxy": "127.0.0.1",
            **_PERSON,
        }
