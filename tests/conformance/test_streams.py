"""Commands in pods, attached terminals, forwarded ports and logs as streams: by kubectl, by WebSocket, by the Python client."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websocket import ABNF, WebSocket, WebSocketBadStatusException, create_connection

from tests.conformance.workloads import container, pod
from tests.support.installation import Installation, free_port
from tests.support.kubectl import Kubectl
from tests.support.rest import Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

SERVE = "mkdir -p /www && echo served > /www/index.html && httpd -f -p 127.0.0.1:8080 -h /www"
ECHO = 'echo ready; while read line; do echo "said $line"; done; echo over'


@pytest.fixture(scope="module", autouse=True)
def pods(api: Rest, shared: Kubectl, space: str, image: str) -> str:
    """Three pods: a shell with a second container, a server on its loopback address, and one that listens."""
    path = f"/api/v1/namespaces/{space}/pods"
    api.create(path, pod("shell", container(image), container(image, name="second")))
    api.create(path, pod("web", container(image, SERVE)))
    api.create(path, pod("talker", container(image, ECHO, stdin=True, stdinOnce=True)))

    shared("wait", "--for=condition=Ready", "pod/shell", "pod/web", "pod/talker", "--timeout=60s")
    return path


class Connection:
    """An open WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.subprotocol = str(socket.getsubprotocol())

    def send(self, data: bytes) -> None:
        """A binary message."""
        self._socket.send_binary(data)

    def __iter__(self) -> Iterator[bytes]:
        """What comes until the server ends the connection."""
        while True:
            code, data = self._socket.recv_data()
            if code == ABNF.OPCODE_CLOSE:
                return
            yield data.encode() if isinstance(data, str) else bytes(data)


@contextmanager
def websocket(
    installation: Installation, path: str, *protocols: str, headers: dict[str, str] | None = None
) -> Iterator[Connection]:
    """A WebSocket as administrator."""
    given = {"Authorization": f"Bearer {installation.token()}"} if headers is None else headers
    opened = create_connection(
        f"wss://127.0.0.1:{installation.port}{path}",
        timeout=30,
        sslopt={"ca_certs": str(installation.data_dir / "pki" / "ca.crt")},
        header=given,
        subprotocols=list(protocols) or None,
        suppress_origin=True,
        http_no_proxy=["127.0.0.1"],
    )
    try:
        yield Connection(opened)
    finally:
        end: Callable[[], None] = opened.shutdown
        end()


def by_channel(opened: Connection) -> dict[int, bytes]:
    """All that comes, by channel."""
    found: dict[int, bytes] = {}
    for data in opened:
        found[data[0]] = found.get(data[0], b"") + data[1:]
    return found


def test_exec_by_kubectl(shared: Kubectl) -> None:
    """Output, errors, exit codes, input and the choice of a container."""
    assert shared("exec", "web", "--", "echo", "hello") == "hello"
    done = shared.attempt("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.out, done.err.splitlines()[0], done.code) == ("out", "err", 7)
    assert shared("exec", "-i", "web", "--", "cat", stdin="given\n") == "given"
    assert shared("exec", "shell", "-c", "second", "--", "hostname") == "shell"
    assert "Defaulted container" in shared.attempt("exec", "shell", "--", "true").err
    missing = shared.attempt("exec", "shell", "-c", "third", "--", "true")
    assert missing.code != 0
    assert "container third is not valid for pod shell" in missing.err or "third" in missing.err
    unknown = shared.attempt("exec", "nobody", "--", "true")
    assert 'pods "nobody" not found' in unknown.err
    not_there = shared.attempt("exec", "web", "--", "no-such-program")
    assert not_there.code != 0
    assert "no-such-program" in not_there.out + not_there.err


async def test_a_terminal_by_kubectl(shared: Kubectl) -> None:
    """``kubectl exec -it`` has a terminal of the client's size, and its signals."""
    with shared.on_terminal("exec", "-it", "web", "--", "sh", rows=33, columns=101) as terminal:
        await until(lambda: terminal.shown("# "), timeout=20)
        terminal.type("tty; stty size\n")
        await until(lambda: terminal.shown("33 101"), timeout=20)
        assert terminal.shown("/dev/pts/")
        terminal.type("echo a$((1+1))z; sleep 1000\n")
        await until(lambda: terminal.shown("a2z"), timeout=20)
        terminal.type("\x03")
        await until(lambda: terminal.shown("^C"), timeout=20)
        terminal.type("exit 3\n")
        assert terminal.process.wait(20) == 3


def test_cp_by_kubectl(shared: Kubectl, tmp_path: Path) -> None:
    """Files go into a pod and come back whole."""
    source, back = tmp_path / "source", tmp_path / "back"
    content = os.urandom(3_000_000)
    source.write_bytes(content)
    shared("cp", str(source), "web:/tmp/copied")
    shared("cp", "web:/tmp/copied", str(back))
    assert back.read_bytes() == content


def test_attach_by_kubectl(shared: Kubectl) -> None:
    """An attached client talks with the container's own process."""
    heard = shared("attach", "-i", "talker", stdin="one\ntwo\n")
    assert "said one" in heard
    assert "said two" in heard


def test_run_interactively(shared: Kubectl, image: str) -> None:
    """``kubectl run -i --rm``: start, talk, see the end, clean up."""
    words = ["run", "once", f"--image={image}", "--image-pull-policy=Never", "--restart=Never", "-i", "--rm", "--quiet"]
    assert "6" in shared(*words, "--", "sh", "-c", "read a; echo $((a*2))", stdin="3\n")


def test_port_forward_by_kubectl(shared: Kubectl) -> None:
    """A port of the machine leads to the pod's loopback address, for several connections; a closed port is told."""
    here = free_port()
    with shared.started("port-forward", "pod/web", f"{here}:8080", f"{free_port()}:81") as process:
        assert process.stdout is not None
        assert "Forwarding from" in process.stdout.readline()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(3):
            with opener.open(f"http://127.0.0.1:{here}/", timeout=10) as answer:
                assert answer.read() == b"served\n"


def test_port_forward_to_a_closed_port(shared: Kubectl) -> None:
    """The reason comes to the user, and the connection ends."""
    here = free_port()
    with shared.started("port-forward", "pod/web", f"{here}:81") as process:
        assert process.stdout is not None
        process.stdout.readline()
        with socket.create_connection(("127.0.0.1", here), timeout=10) as connection:
            assert connection.recv(10) == b""
        lines = iter(process.stdout.readline, "")
        assert any("connection refused" in line for line in lines)


def test_exec_over_a_websocket(installation: Installation, pods: str) -> None:
    """Each version of the protocol; the result as a Status from version 4 on."""
    path = f"{pods}/web/exec?command=sh&command=-c&command=echo+out;echo+err>%262;exit+2&stdout=1&stderr=1"
    with websocket(installation, path, "channel.k8s.io") as opened:
        found = by_channel(opened)
    assert found[1] == b"out\n"
    assert found[2] == b"err\n"
    assert b"exit status 2" in found[3]
    with websocket(installation, path, "v5.channel.k8s.io", "v4.channel.k8s.io") as opened:
        assert opened.subprotocol == "v5.channel.k8s.io"
        status = json.loads(by_channel(opened)[3])
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "2"}]
    with websocket(installation, f"{pods}/web/exec?command=id&stdout=1", "base64.channel.k8s.io") as opened:
        texts = [message.decode() for message in opened]
    assert b"uid=0" in b"".join(base64.b64decode(text[1:]) for text in texts)


def test_input_can_end(installation: Installation, pods: str) -> None:
    """Version 5 closes a channel: the command sees the end of its input."""
    path = f"{pods}/web/exec?command=wc&command=-c&stdin=1&stdout=1"
    with websocket(installation, path, "v5.channel.k8s.io") as opened:
        opened.send(b"\x00" + b"x" * 1000)
        opened.send(b"\x00" + b"y" * 500)
        opened.send(b"\xff\x00")
        found = by_channel(opened)
    assert found[1].strip() == b"1500"
    assert json.loads(found[3])["status"] == "Success"


def test_a_token_among_the_protocols(installation: Installation, pods: str) -> None:
    """Browsers cannot set headers."""
    token = base64.urlsafe_b64encode(installation.token().encode()).decode().rstrip("=")
    words = ("base64url.bearer.authorization.k8s.io." + token, "channel.k8s.io")
    path = f"{pods}/web/exec?command=echo&command=yes&stdout=1"
    with websocket(installation, path, *words, headers={}) as opened:
        assert by_channel(opened)[1] == b"yes\n"


@pytest.mark.parametrize(
    ("rest", "code", "text"),
    [
        ("nobody/exec?command=id&stdout=1", 404, 'pods "nobody" not found'),
        ("shell/exec?command=id&stdout=1", 400, "a container name must be specified for pod shell"),
        ("web/exec?stdout=1", 422, "command: Required value"),
        ("web/exec?command=id", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("web/status", 404, "could not find the requested resource"),
    ],
)
def test_refusals_come_before_the_upgrade(
    installation: Installation, pods: str, rest: str, code: int, text: str
) -> None:
    """A Status, as for every other request."""
    with (
        pytest.raises(WebSocketBadStatusException) as refused,
        websocket(installation, f"{pods}/{rest}", "v4.channel.k8s.io"),
    ):
        pass
    assert refused.value.status_code == code
    assert text in json.loads(refused.value.resp_body or b"{}")["message"]


def test_strangers_are_refused(installation: Installation, pods: str) -> None:
    """Without credentials nothing is told."""
    path = f"{pods}/web/exec?command=id&stdout=1"
    with pytest.raises(WebSocketBadStatusException) as refused, websocket(installation, path, headers={}):
        pass
    assert refused.value.status_code == 401


def test_logs_over_a_websocket(installation: Installation, pods: str) -> None:
    """Binary messages that together are the log (conformance: logs from websockets)."""
    path = f"{pods}/talker/log?container=main"
    with websocket(installation, path, "binary.k8s.io") as opened:
        text = b"".join(opened)
    assert text.startswith(b"ready\n")


PYTHON_CLIENT = """
import sys
from kubernetes import client, config
from kubernetes.stream import portforward, stream
config.load_kube_config(sys.argv[1])
core, space = client.CoreV1Api(), sys.argv[2]
said = dict(stderr=True, stdout=True, tty=False)
heard = stream(core.connect_get_namespaced_pod_exec, "web", space, command=["echo", "hi"], stdin=False, **said)
assert heard == "hi\\n", heard
talking = stream(
    core.connect_get_namespaced_pod_exec, "web", space, command=["sh"], stdin=True, _preload_content=False, **said
)
talking.write_stdin("echo $((6*7)); exit 5\\n")
talking.run_forever(timeout=20)
assert talking.read_stdout() == "42\\n"
assert talking.returncode == 5
connected = portforward(core.connect_get_namespaced_pod_portforward, "web", space, ports="8080").socket(8080)
connected.setblocking(True)
connected.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
answer = b""
while data := connected.recv(4096):
    answer += data
print(answer.decode())
"""
"""In a process of its own: the library leaves its sockets to the collector."""


def test_the_python_client(installation: Installation, space: str, pods: str) -> None:
    """``kubernetes.stream``: exec with input, and a forwarded port."""
    words = [sys.executable, "-c", PYTHON_CLIENT, str(installation.data_dir / "kubeconfig"), space]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("served\n\n")


async def test_a_lost_client_ends_its_command(installation: Installation, shared: Kubectl, pods: str) -> None:
    """What was started for a client that went away is hung up, and its pod goes on."""
    path = f"{pods}/web/exec?command=sleep&command=98765&stdout=1"
    with websocket(installation, path, "v5.channel.k8s.io"):
        await until(lambda: _sees(shared, "98765", 1), timeout=20)
    await until(lambda: _sees(shared, "98765", 0), timeout=20)


def _sees(kubectl: Kubectl, word: str, times: int) -> bool:
    found = kubectl("exec", "web", "--", "ps").count(f"sleep {word}")
    if found != times:
        raise NotYet(f"{found} of {word}")
    return True
