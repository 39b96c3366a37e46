"""Git as an attacker uses it: trees and packs that no porcelain makes."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.attacks.caller import Caller
from tests.support.kubectl import Result

ZERO = "0" * 40
SECONDS = 60
Tree = list[tuple[str, str, str]]
"""Entries of a tree: mode, name, object id."""


@dataclass
class Pusher:
    """A working copy of ``caller``'s."""

    directory: Path
    caller: Caller

    def git(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run Git without anybody's configuration; it trusts the installation's CA."""
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSL_CAINFO": str(self.caller.ca),
            **{
                f"GIT_{who}_{what}": "mallory@example.test"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        return Result(
            done.returncode, done.stdout.decode(errors="replace").strip(), done.stderr.decode(errors="replace")
        )

    def url(self, namespace: str, name: str) -> str:
        """A repository's address with the token in it."""
        host = self.caller.url.removeprefix("https://")
        return f"https://git:{quote(self.caller.token, safe='')}@{host}/git/{namespace}/{name}.git"

    def blob(self, data: bytes | str) -> str:
        """Store a file's content."""
        return self._write("blob", data.encode() if isinstance(data, str) else data)

    def tree(self, entries: Tree) -> str:
        """Store a tree whose entries nobody checks."""
        body = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in entries)
        return self._write("tree", body)

    def commit(self, tree: str, *more: str) -> str:
        """Store a commit; ``more`` are arguments of commit-tree."""
        made = self.git("commit-tree", tree, "-m", "attack", *more)
        assert made.code == 0, made.err
        return made.out

    def push(self, namespace: str, name: str, what: str, to: str = "refs/heads/main", *options: str) -> Result:
        """Push an object to a ref, by force."""
        return self.git("push", "--quiet", *options, self.url(namespace, name), f"+{what}:{to}")

    def deploy(self, namespace: str, name: str, files: dict[str, str | bytes]) -> Result:
        """Push files (of the root folder) to the deploy branch."""
        entries = [("100644", path, self.blob(data)) for path, data in sorted(files.items())]
        return self.push(namespace, name, self.commit(self.tree(entries)))

    def _write(self, kind: str, data: bytes) -> str:
        if not (self.directory / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")
        made = self.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", stdin=data)
        assert made.code == 0, made.err
        return made.out


def line(text: bytes | str) -> bytes:
    """A pkt-line."""
    data = text.encode() if isinstance(text, str) else text
    return f"{len(data) + 4:04x}".encode() + data


def push_request(ref: bytes, new: str, pack: bytes, old: str = ZERO) -> bytes:
    """The body of a receive-pack request for one ref."""
    command = f"{old} {new} ".encode() + ref + b"\0 report-status agent=attack\n"
    return line(command) + b"0000" + pack


def pack(*objects: tuple[int, bytes], count: int | None = None) -> bytes:
    """A pack of (type, content); ``count`` is what its header claims."""
    body = struct.pack(">4sII", b"PACK", 2, len(objects) if count is None else count)
    for kind, data in objects:
        size, head = len(data), b""
        byte = (kind << 4) | (size & 15)
        size >>= 4
        while size:
            head += bytes([byte | 0x80])
            byte, size = size & 0x7F, size >> 7
        body += head + bytes([byte]) + zlib.compress(data, 9)
    return body + hashlib.sha1(body).digest()
