"""``/proxy`` beyond plain HTTP: pods that speak TLS, and WebSockets, through pods and through services."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket as ServerSocket
from websocket import ABNF, WebSocket, WebSocketBadStatusException, create_connection

from tests.conformance.workloads import container, pod
from tests.support.certificates import Certificates
from tests.support.installation import Installation
from tests.support.kubectl import Kubectl
from tests.support.rest import Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


async def _page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.url.scheme} {request.url.path}")


async def _talk(server: ServerSocket) -> None:
    """Say how it was asked, then what is heard, until "bye"."""
    if server.url.path == "/refused":
        await server.send_denial_response(PlainTextResponse("not here", 451))
        return
    offered = server.scope["subprotocols"]
    await server.accept(subprotocol=offered[0] if offered else None)
    secrets = [name for name in ("authorization", "cookie") if name in server.headers]
    await server.send_text(f"{server.url.path}?{server.url.query} {offered} {secrets} {server.headers.get('x-mine')}")
    while (message := await server.receive())["type"] == "websocket.receive":
        if message.get("text") == "bye":
            await server.close(4321)
            return
        if message.get("bytes") is not None:
            await server.send_bytes(message["bytes"][::-1])
        else:
            await server.send_text("heard " + message["text"])


@contextmanager
def _serving(**options: Any) -> Iterator[int]:
    """A server of this machine's loopback address, which is also that of pods on the node's own network; its port."""
    app = Starlette(routes=[Route("/{rest:path}", _page), WebSocketRoute("/{rest:path}", _talk)])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="wsproto", **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def ports(certificates: Certificates) -> Iterator[dict[str, int]]:
    """By scheme; the certificate is of a CA that the API does not know."""
    files = {"ssl_certfile": str(certificates.certificate), "ssl_keyfile": str(certificates.key)}
    with _serving() as plain, _serving(**files) as secure:
        yield {"http": plain, "https": secure}


@pytest.fixture(scope="module")
def bases(api: Rest, shared: Kubectl, space: str, image: str, ports: dict[str, int]) -> dict[str, str]:
    """Proxy paths by name: of a pod on the node's network and of a service in front of it, by scheme."""
    root = f"/api/v1/namespaces/{space}"
    api.create(f"{root}/pods", pod("agent", container(image), hostNetwork=True))
    listed = [
        {"name": name, "port": 80 + number, "targetPort": port} for number, (name, port) in enumerate(ports.items())
    ]
    api.create(
        f"{root}/services", {"metadata": {"name": "front"}, "spec": {"selector": {"name": "agent"}, "ports": listed}}
    )
    shared("wait", "--for=condition=Ready", "pod/agent", "--timeout=60s")
    made = {f"pod {name}": f"{root}/pods/{name}:agent:{port}/proxy" for name, port in ports.items()}
    return {**made, **{f"service {name}": f"{root}/services/{name}:front:{name}/proxy" for name in ports}}


NAMES = [f"{what} {scheme}" for what in ("pod", "service") for scheme in ("http", "https")]


@pytest.mark.parametrize("name", NAMES)
async def test_pages(api: Rest, bases: dict[str, str], name: str) -> None:
    """A pod's certificate is its own and is not checked, as kube-apiserver does not."""
    scheme = name.split()[1]
    answer = await until(lambda: _answered(api, f"{bases[name]}/a/b"))
    assert answer == f"{scheme} /a/b"


def _answered(api: Rest, path: str) -> str:
    answer = api.request("GET", path)
    assert answer.code == 200, answer
    return answer.text


@contextmanager
def _connected(installation: Installation, path: str, *protocols: str, token: str = "") -> Iterator[WebSocket]:
    opened = create_connection(
        f"wss://127.0.0.1:{installation.port}{path}",
        timeout=30,
        sslopt={"ca_certs": str(installation.data_dir / "pki" / "ca.crt"), "cert_reqs": ssl.CERT_REQUIRED},
        header={"Authorization": f"Bearer {token or installation.token()}", "X-Mine": "yes"},
        cookie="a=b",
        subprotocols=list(protocols) or None,
        suppress_origin=True,
        http_no_proxy=["127.0.0.1"],
    )
    try:
        yield opened
    finally:
        end: Any = opened.shutdown
        end()


@pytest.mark.parametrize("name", NAMES)
async def test_websockets(installation: Installation, api: Rest, bases: dict[str, str], name: str) -> None:
    """Path, query and protocol arrive, credentials do not; messages of both kinds pass whole; the pod's close comes through."""
    await until(lambda: _answered(api, f"{bases[name]}/"))
    with _connected(installation, f"{bases[name]}/talk?x=%20y", "chat", "other") as opened:
        assert opened.getsubprotocol() == "chat"
        assert opened.recv() == "/talk?x=%20y ['chat', 'other'] [] yes"
        opened.send("hello")
        assert opened.recv() == "heard hello"
        large = bytes(range(256)) * 4096
        opened.send_binary(large)
        assert opened.recv() == large[::-1]
        opened.send("bye")
        code, data = opened.recv_data()
        assert (code, int.from_bytes(data[:2], "big")) == (ABNF.OPCODE_CLOSE, 4321)


async def test_a_pods_refusal_comes_through(installation: Installation, api: Rest, bases: dict[str, str]) -> None:
    await until(lambda: _answered(api, f"{bases['pod http']}/"))
    with pytest.raises(WebSocketBadStatusException) as raised, _connected(installation, f"{bases['pod http']}/refused"):
        pass
    assert raised.value.status_code == 451
    assert raised.value.resp_body == b"not here"


async def test_hooks_by_tls(api: Rest, shared: Kubectl, space: str, image: str, ports: dict[str, int]) -> None:
    """ "should execute poststart https hook properly", and the one before the end; the certificate is not checked."""
    pods = f"/api/v1/namespaces/{space}/pods"
    asked = {"host": "127.0.0.1", "port": ports["https"], "scheme": "HTTPS", "path": "/hook"}
    hooks = {"postStart": {"httpGet": asked}, "preStop": {"httpGet": asked}}
    api.create(pods, pod("hooked", container(image, lifecycle=hooks), restartPolicy="Always"))
    shared("wait", "--for=condition=Ready", "pod/hooked", "--timeout=60s")
    assert api.get(f"{pods}/hooked")["status"]["containerStatuses"][0]["restartCount"] == 0
    api.delete(f"{pods}/hooked")
    await until(lambda: api.missing(f"{pods}/hooked"), timeout=60)
    events = api.get(f"/api/v1/namespaces/{space}/events", fieldSelector="involvedObject.name=hooked")["items"]
    assert not [each for each in events if each["reason"].startswith("Failed")], events


@pytest.mark.parametrize(
    ("rest", "code", "words"),
    [
        ("pods/nobody/proxy/", 404, b'pods \\"nobody\\" not found'),
        ("pods/agent:1/proxy/", 503, b"connection refused"),
        ("pods/ftp:agent:80/proxy/", 400, b"invalid pod request"),
        ("services/front:81x/proxy/", 503, b"no endpoints available for service"),
        ("configmaps/x/proxy/", 403, b""),
    ],
)
def test_refusals_are_the_apis(
    installation: Installation, space: str, bases: dict[str, str], rest: str, code: int, words: bytes
) -> None:
    assert bases
    path = f"/api/v1/namespaces/{space}/{rest}"
    with pytest.raises(WebSocketBadStatusException) as raised, _connected(installation, path):
        pass
    assert raised.value.status_code == code
    assert words in (raised.value.resp_body or b"")


def test_strangers_do_not_get_there(installation: Installation, bases: dict[str, str]) -> None:
    with pytest.raises(WebSocketBadStatusException) as raised, _connected(installation, bases["pod http"], token="x"):
        pass
    assert raised.value.status_code == 401
