"""One server, composed as in production, for the whole module."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from moorage.api.app import MoorageApp
from moorage.server import ServerConfig, composed
from moorage_tenants.sealed_secrets.cipher import seal
from moorage_tenants.secret_service.routes import SEALING_KEYS
from tests.integration.authorisation.documents import binding, collection, user
from tests.integration.authorisation.matrix.objects import Document, kept, names, root, sample
from tests.integration.authorisation.matrix.people import BOOTSTRAP, RED_ROLES, credentials
from tests.support.asgi import Asgi
from tests.support.certificates import Certificates
from tests.support.wait import until


@dataclass(frozen=True, slots=True)
class Served:
    """The application, and a way to ask it."""

    app: MoorageApp
    asgi: Asgi


def config(database_url: str, certificates: Certificates, directory: Path) -> ServerConfig:
    """What the server is told."""
    kek, tokens = directory / "kek", directory / "tokens"
    kek.write_text("07" * 32)
    kek.chmod(0o600)
    tokens.write_text(json.dumps(BOOTSTRAP))
    return ServerConfig.checked(
        database_url=database_url,
        listen="127.0.0.1:6443",
        advertise="",
        tls_cert=certificates.certificate,
        tls_key=certificates.key,
        ca_cert=certificates.ca,
        kek_file=kek,
        bootstrap_tokens=tokens,
        git_dir=directory / "git",
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    module_database_url: str, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """The server, with an object of every kind."""
    directory = tmp_path_factory.mktemp("server")
    async with composed(config(module_database_url, certificates, directory)) as app:
        asgi = Asgi(app)
        async with app.router.lifespan_context(app):
            await until(lambda: app.startup.waiting_for == "", timeout=60, every=0.01)
            await _furnish(app, asgi)
            yield Served(app, asgi)


async def _furnish(app: MoorageApp, asgi: Asgi) -> None:
    """An object of every kind, and another tenant with everybody who has a role there."""
    owner = {"kind": "User", "name": "red-owner"}
    made = [
        {
            "apiVersion": "tenancy.moorage.io/v1",
            "kind": "Tenant",
            "metadata": {"name": "red"},
            "spec": {"owners": [owner]},
        },
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "red", "labels": {"tenancy.moorage.io/tenant": "red"}},
        },
        *(binding(name, f"ClusterRole/{role}", user(name), namespace="red") for name, role in RED_ROLES.items()),
    ]
    for document in made:
        await _create(asgi, collection(document), document)
    for kind in kept(app.service.registry):
        if (kind.group, kind.plural) == ("events.k8s.io", "events"):
            continue  # one store with those of the core group
        document = sample(kind, names(kind)[0])
        if kind.plural == "sealedsecrets":
            document["spec"] = {"encryptedData": {"a": await _sealed(asgi, document["metadata"])}}
        await _create(asgi, f"{root(kind)}/{kind.plural}", document)


async def _create(asgi: Asgi, path: str, document: Document) -> None:
    answer = await asgi.request("POST", path, document, credentials("admin"))
    assert answer.code == 201, (path, answer)


async def _sealed(asgi: Asgi, metadata: Document) -> str:
    """A value that the server can open."""
    answer = await asgi.request("GET", SEALING_KEYS, None, credentials("admin"))
    key = json.loads(answer.body)["items"][0]["publicKey"]
    place = {"namespace": metadata["namespace"], "name": metadata["name"], "key": "a"}
    return seal(base64.b64decode(key), b"hidden", **place)
