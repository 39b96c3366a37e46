"""The files of an installation. Source: docs/architecture.md, "Data directory"."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


class SetupError(RuntimeError):
    """The installation cannot be set up or started as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are below ``root``, an absolute path."""

    root: Path

    @classmethod
    def at(cls, directory: Path) -> Layout:
        """The layout of ``directory``, which need not exist."""
        return cls(directory.expanduser().absolute())

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """CA and serving certificate."""
        return self.root / "pki"

    @property
    def ca_certificate(self) -> Path:
        """What clients trust."""
        return self.pki / "ca.crt"

    @property
    def client_ca_certificate(self) -> Path:
        """What clients' certificates are verified with; its key lies beside it."""
        return self.pki / "client-ca.crt"

    @property
    def client_ca_key(self) -> Path:
        """What signs them."""
        return self.pki / "client-ca.key"

    @property
    def kek(self) -> Path:
        """The key-encryption key."""
        return self.root / "kek"

    @property
    def network(self) -> Path:
        """Where addresses of pods and Services come from."""
        return self.root / "network.json"

    @property
    def tokens(self) -> Path:
        """Bearer tokens of the parts, one file each."""
        return self.root / "tokens"

    @property
    def bootstrap_tokens(self) -> Path:
        """Hashes of the tokens that the server accepts from the start."""
        return self.root / "bootstrap-tokens.json"

    @property
    def run(self) -> Path:
        """Sockets and process records."""
        return self.root / "run"

    @property
    def record(self) -> Path:
        """What runs: ``supervisor.json``."""
        return self.run / "supervisor.json"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor of this directory."""
        return self.run / "supervisor.lock"

    @property
    def log(self) -> Path:
        """One readable log of all parts."""
        return self.root / "moorage.log"

    @property
    def git(self) -> Path:
        """Bare repositories."""
        return self.root / "git"

    def agent(self, node: str) -> Path:
        """State of a node's agent."""
        return self.root / "agents" / node

    def node_token(self, node: str) -> Path:
        """The token of a node's agent."""
        return self.tokens / f"node-{node}"

    def make(self) -> None:
        """Make the directories. Raises SetupError where that is not possible."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # The account of PostgreSQL walks through where we are root; every secret below has its own mode.
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
            for directory in (self.pki, self.tokens, self.git, self.root / "agents"):
                directory.mkdir(mode=0o700, exist_ok=True)
            self.run.mkdir(mode=0o711, exist_ok=True)
        except OSError as error:
            raise SetupError(f"the data directory {self.root} cannot be used: {error.strerror or error}") from None


def write_private(path: Path, text: str | bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    data = text.encode() if isinstance(text, str) else text
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
