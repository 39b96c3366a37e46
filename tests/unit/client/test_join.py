"""Join tokens and kubeconfigs."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from moorage.client.api import ApiClient
from moorage.client.join import JoinTokenError, bootstrap_ca, fingerprint, parse
from moorage.client.kubeconfig import KubeconfigError, load
from moorage.client.resource import NODES
from tests.support.certificates import Certificates
from tests.unit.client.scripted import scripted


async def test_the_ca_is_believed_only_if_its_hash_is_in_the_token(certificates: Certificates) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=certificates.ca.read_bytes())

    async with scripted(certificates, answer) as server:
        right = fingerprint(certificates.ca.read_text())
        pem = await bootstrap_ca(server.url, f"moorage1.{right}.secret")
        assert fingerprint(pem) == right
        with pytest.raises(JoinTokenError, match="another CA"):
            await bootstrap_ca(server.url, f"moorage1.{'0' * 64}.secret")
        assert server.seen == ["GET /cacerts"] * 2
        assert not any("Authorization" in headers for headers in server.headers)
        async with ApiClient(server.url, ca_pem=pem) as client:
            await client.request("GET", "/verified")


@pytest.mark.parametrize(
    "token", ["", "hunter2", "moorage1.abc.hunter2", f"moorage2.{'0' * 64}.x", f"moorage1.{'0' * 64}."]
)
def test_what_is_no_join_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(JoinTokenError) as caught:
        parse(token)
    assert not token or token not in str(caught.value)


async def test_a_kubeconfig_gives_server_ca_and_token(certificates: Certificates, tmp_path: Path) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": "n1"}})

    async with scripted(certificates, answer) as server:
        ca = base64.b64encode(certificates.ca.read_bytes()).decode()
        file = tmp_path / "config"
        file.write_text(_kubeconfig(server.url, {"certificate-authority-data": ca}, {"token": "abc"}))
        async with ApiClient.from_kubeconfig(file) as client:
            assert client.namespace == "team"
            await client.get(NODES, "n1")
        assert server.headers[0]["Authorization"] == "Bearer abc"


def test_relative_files_are_found_beside_the_kubeconfig(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(certificates.ca.read_bytes())
    (tmp_path / "token").write_text("from a file")
    file = tmp_path / "config"
    file.write_text(_kubeconfig("https://x:1", {"certificate-authority": "ca.crt"}, {"tokenFile": "token"}))
    config = load(file)
    token = config.client_token()
    assert token is not None
    assert token.current() == "from a file"
    assert config.ca_pem == certificates.ca.read_text()


@pytest.mark.parametrize(
    ("cluster", "user", "message"),
    [
        ({"insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify is not supported"),
        ({}, {"auth-provider": {"name": "x"}}, "auth-provider is not supported"),
        ({"certificate-authority-data": "%%%"}, {}, "certificate-authority-data is not base64"),
    ],
)
def test_what_a_kubeconfig_may_not_say(
    tmp_path: Path, cluster: dict[str, object], user: dict[str, object], message: str
) -> None:
    file = tmp_path / "config"
    file.write_text(_kubeconfig("https://x:1", cluster, user))
    with pytest.raises(KubeconfigError, match=message):
        load(file)


def test_a_missing_context_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(_kubeconfig("https://x:1", {}, {}))
    with pytest.raises(KubeconfigError, match="no entry named 'other'"):
        load(file, "other")


def _kubeconfig(server: str, cluster: dict[str, object], user: dict[str, object]) -> str:
    return yaml.safe_dump(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "team"}}],
            "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": user}],
        }
    )
