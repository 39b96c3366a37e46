"""Pods that talk TCP and UDP, and say who asked: busybox knows no UDP server, so they run this machine's Python."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.conformance.workloads import pod
from tests.support.kubectl import Kubectl
from tests.support.rest import Document

TCP, UDP = 8080, 8081
BIG = 300_000
SERVER = f"""
import os, signal, socket, sys, threading
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
name = sys.argv[1]
def streams():
    listening = socket.create_server(("0.0.0.0", {TCP}), backlog=64)
    while True:
        taken, peer = listening.accept()
        taken.settimeout(3)
        try:
            big = taken.recv(16) == b"big\\n"
            taken.sendall(f"{{name}} {{peer[0]}}".encode() + (b"x" * {BIG} if big else b""))
        except OSError:
            print("a client went away")
        taken.close()
threading.Thread(target=streams, daemon=True).start()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", {UDP}))
while True:
    data, peer = datagrams.recvfrom(100)
    datagrams.sendto(f"{{name}} {{peer[0]}}".encode(), peer)
"""
CLIENT = """
import json, socket, sys
kind, host, port, times, word, own, seconds = json.loads(sys.argv[1])
answers = []
for _ in range(times):
    asking = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    asking.settimeout(seconds)
    try:
        if own:
            asking.bind(("0.0.0.0", own))
        asking.connect((host, port))
        asking.sendall(word.encode() + b"\\n")
        got = b""
        while data := asking.recv(65536):
            got += data
            if kind == "udp":
                break
        answers.append(got.decode() if len(got) < 1000 else f"{len(got)} bytes")
    except OSError as error:
        answers.append("")
    asking.close()
print(json.dumps(answers))
"""


def python(code: str, *arguments: str) -> list[str]:
    """A command for a container that is a talker's."""
    return ["chroot", "/machine", sys.executable, "-I", "-S", "-c", code, *arguments]


def talker(image: str, name: str, node: str, app: str = "web", **spec: Any) -> Document:
    """A pod on ``node`` that answers on TCP 8080 (``http``) and UDP 8081 (``udp``) with its name and the client's address."""
    ports = [{"name": "http", "containerPort": TCP}, {"name": "udp", "containerPort": UDP, "protocol": "UDP"}]
    mount = {"name": "machine", "mountPath": "/machine", "readOnly": True}
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": python(SERVER, name),
        "ports": ports,
        "volumeMounts": [mount],
        "readinessProbe": {"tcpSocket": {"port": TCP}, "periodSeconds": 1},
        **spec.pop("container", {}),
    }
    volume = {"name": "machine", "hostPath": {"path": "/"}}
    return pod(name, container, labels={"app": app, "name": name}, nodeName=node, volumes=[volume], **spec)


def asked(
    kubectl: Kubectl,
    name: str,
    host: str,
    port: int,
    *,
    udp: bool = False,
    times: int = 1,
    word: str = "who",
    own: int = 0,
    seconds: float = 1.0,
) -> list[str]:
    """What an address answers pod ``name`` (from its port ``own``), so many times; "" where there is no answer."""
    what = json.dumps(["udp" if udp else "tcp", host, port, times, word, own, seconds])
    answers: list[str] = json.loads(kubectl("exec", name, "--", *python(CLIENT, what)))
    return answers


def names_of(answers: list[str]) -> set[str]:
    """The pods that answered; "" stands for none."""
    return {answer.split(" ")[0] for answer in answers}
