"""Logs, shells, forwarded ports and tunnels of pods and nodes that belong to somebody else."""

from __future__ import annotations

from tests.attacks.arena import NAMESPACES, Arena, pod, silent


def test_streams_of_anothers_pods(arena: Arena) -> None:
    """By the path, by names that lead elsewhere, and by each way to open a stream."""
    victim, attacker, mallory = arena.victim, arena.attacker, arena.mallory
    mallory.send("POST", attacker.at("pods"), pod("web"))
    places = (
        victim.at("pods", "web"),
        f"{NAMESPACES}/{attacker.namespace}/../{victim.namespace}/pods/web",
        f"{NAMESPACES}/{attacker.namespace}/pods/..%2F..%2F{victim.namespace}%2Fpods%2Fweb",
        f"{NAMESPACES}/{attacker.namespace}%2F..%2F{victim.namespace}/pods/web",
        f"//api/v1/namespaces/{victim.namespace}/pods/web",
        f"/api/v1/namespaces//{victim.namespace}/pods/web",
        f"/api/v1/proxy/namespaces/{victim.namespace}/pods/web",
        f"/apis/moorage.io/v1/../../../api/v1/namespaces/{victim.namespace}/pods/web",
    )
    upgrade = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    for path in places:
        for what in (
            "log",
            "exec?command=id",
            "attach",
            "portforward?ports=1",
            "proxy",
            "proxy/metadata",
            "ephemeralcontainers",
        ):
            for method in ("GET", "POST"):
                answer = silent(
                    arena, mallory.send(method, f"{path}/{what}", headers=upgrade if method == "POST" else None)
                )
                assert answer.code in (400, 401, 403, 404, 405), (path, what, answer.text)
    for query in ("container=../../other", f"container={victim.namespace}", "previous=true&container=%00"):
        answer = silent(arena, mallory.send("GET", f"{attacker.at('pods', 'web')}/log?{query}"))
        assert answer.code in (400, 403, 404, 503), answer.text


def test_streams_over_websockets(arena: Arena) -> None:
    """A handshake is authorised like a request; without rights it never becomes a stream."""
    victim = arena.victim
    paths = [
        f"{victim.at('pods', 'web')}/{what}"
        for what in ("exec?command=id&stdout=1", "attach?stdout=1", "portforward?ports=80", "log")
    ]
    paths += [
        "/apis/moorage.io/v1/nodes/test-node/tunnel",
        "/apis/moorage.io/v1/nodes/test-node/dial",
        "/api/v1/nodes/test-node/proxy/containerLogs",
        f"/api/v1/namespaces/{victim.namespace}/services/web/proxy",
    ]
    for token in (arena.mallory.token, arena.robot.token, arena.node.token, "", "x"):
        for path in paths:
            answer = arena.mallory.raw(handshake(path, token), seconds=5).decode(errors="replace")
            assert " 101 " not in answer.splitlines()[0], (path, answer)
            assert answer.split(" ", 2)[1] in ("401", "403", "404"), (path, answer)


def handshake(path: str, token: str, *more: str) -> bytes:
    """The opening of a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: moorage",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: v5.channel.k8s.io",
        *([f"Authorization: Bearer {token}"] if token else []),
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
