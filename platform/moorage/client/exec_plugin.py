"""Tokens from a program: the ``exec`` part of a kubeconfig's user (``moorage token``, cloud providers' own).

Source: KEP-541, "client-go credential plugins". The program runs without a shell; what it prints on standard error reaches the
user, and its token is used until a minute before it expires.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from moorage.client.credentials import Token

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
EARLY = 60.0
SECONDS = 600.0
"""A program may wait for its user to log in."""


class ExecError(ValueError):
    """The program gave no token; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """What to run. ``cluster`` is told to the program where it asks for it."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    version: str
    hint: str = ""
    cluster: Mapping[str, Any] = field(default_factory=dict)
    interactive: bool = True

    @staticmethod
    def of(folder: Path, part: Mapping[str, Any], server: str, ca_pem: str) -> ExecPlugin:
        """From the ``exec`` part of a user in a kubeconfig of ``folder``. Raises ExecError."""
        version, command = str(part.get("apiVersion") or ""), str(part.get("command") or "")
        if version not in VERSIONS:
            raise ExecError(f"exec.apiVersion is {version!r}; it must be {VERSIONS[0]}")
        if not command:
            raise ExecError("exec.command is missing")
        if os.sep in command:
            command = str(folder / command)
        variables = {str(each.get("name")): str(each.get("value")) for each in part.get("env") or ()}
        cluster: dict[str, Any] = {}
        if part.get("provideClusterInfo"):
            encoded = base64.b64encode(ca_pem.encode()).decode()
            cluster = {"server": server, "certificate-authority-data": encoded}
        return ExecPlugin(
            command,
            tuple(str(each) for each in part.get("args") or ()),
            variables,
            version,
            str(part.get("installHint") or ""),
            cluster,
            part.get("interactiveMode") != "Never",
        )

    def run(self) -> tuple[str, float]:
        """(token, when it expires in seconds since the epoch; 0 for never). Raises ExecError."""
        interactive = self.interactive and sys.stdin is not None and sys.stdin.isatty()
        spec: dict[str, Any] = {"interactive": interactive}
        if self.cluster:
            spec["cluster"] = dict(self.cluster)
        told = json.dumps({"kind": "ExecCredential", "apiVersion": self.version, "spec": spec})
        try:
            done = subprocess.run(
                [self.command, *self.arguments],
                env={**os.environ, **self.environment, "KUBERNETES_EXEC_INFO": told},
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
                timeout=SECONDS,
            )
        except FileNotFoundError:
            hint = f"; {self.hint}" if self.hint else ""
            raise ExecError(f"the program {self.command} of the kubeconfig is not installed{hint}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExecError(f"the program {self.command} of the kubeconfig: {error}") from error
        if done.returncode:
            raise ExecError(f"the program {self.command} of the kubeconfig failed with exit code {done.returncode}")
        return self._read(done.stdout)

    def _read(self, output: bytes) -> tuple[str, float]:
        try:
            document = json.loads(output)
            status = document["status"]
            token, expires = str(status.get("token") or ""), status.get("expirationTimestamp")
            until = datetime.fromisoformat(str(expires)).timestamp() if expires else 0.0
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ExecError(f"the program {self.command} of the kubeconfig printed no ExecCredential") from None
        if not token:
            raise ExecError(
                f"the program {self.command} of the kubeconfig gave no token (certificates are not supported)"
            )
        return token, until


class ExecToken(Token):
    """The token of a program, asked for when it is first needed and again before it expires."""

    def __init__(self, plugin: ExecPlugin) -> None:
        self._plugin = plugin
        self._token = ""
        self._until = 0.0

    def current(self) -> str:
        """The token to send now. Raises ExecError."""
        if not self._token or (self._until and time.time() > self._until - EARLY):
            self._token, self._until = self._plugin.run()
        return self._token
