"""Registry credentials: from a pod's ``imagePullSecrets`` first, then the machine's own Docker configuration.

Nothing here is logged, and nothing of it reaches a container.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import orjson

from moorage_agent.engine.contract import Credentials

log = logging.getLogger(__name__)

_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")

_HELPERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="registry-credentials")
"""Credential helpers are programs that may take seconds: they get threads of their own."""


def from_secret(secret: Mapping[str, Any]) -> dict[str, Credentials]:
    """Credentials by registry host of a ``dockerconfigjson`` or ``dockercfg`` Secret; what is broken is left out."""
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            entries = orjson.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        elif ".dockercfg" in data:
            entries = orjson.loads(base64.b64decode(data[".dockercfg"]))
        else:
            return {}
        found = {_host(name): _entry(entry) for name, entry in entries.items()}
    except (ValueError, AttributeError, TypeError):
        log.warning("secret %s/%s is no usable registry secret", *_names(secret))
        return {}
    return {host: credentials for host, credentials in found.items() if credentials is not None}


def choose(domain: str, secrets: Iterable[Mapping[str, Any]]) -> list[Credentials]:
    """What may open ``domain``, in the order of the pod's secrets."""
    names = _DOCKER_HUB if domain in _DOCKER_HUB else (domain,)
    found = (from_secret(secret) for secret in secrets)
    return [one[name] for one in found for name in names if name in one]


async def of_machine(domain: str) -> list[Credentials]:
    """What ``docker login`` on this machine has kept, credential helpers included."""
    return await asyncio.get_running_loop().run_in_executor(_HELPERS, _of_machine, domain)


def _of_machine(domain: str) -> list[Credentials]:
    from docker import auth, errors  # only machines that pull images pay for the SDK

    try:
        found = auth.resolve_authconfig(auth.load_config(), registry=None if domain in _DOCKER_HUB else domain)
    except errors.DockerException as error:
        log.warning("credentials of this machine for %s: %s", domain, error)
        return []
    if not found or not found.get("username"):
        return []
    return [Credentials(str(found["username"]), str(found.get("password") or ""))]


def _host(name: str) -> str:
    return urlsplit(name if "//" in name else f"//{name}").netloc


def _entry(entry: Mapping[str, Any]) -> Credentials | None:
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password") or ""))
    if entry.get("auth"):
        try:
            name, _, password = base64.b64decode(entry["auth"]).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return Credentials(name, password)
    return None


def _names(secret: Mapping[str, Any]) -> tuple[str, str]:
    metadata = secret.get("metadata") or {}
    return str(metadata.get("namespace")), str(metadata.get("name"))
