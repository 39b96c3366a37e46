"""Pods that talk: a server that answers with its pod's name, and questions asked from within pods and from the node."""

from __future__ import annotations

import subprocess

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import Document

PORT = 8080
_HTTP = "echo {name} > /tmp/index.html; trap 'exit 0' TERM; httpd -f -p {port} -h /tmp & wait"
_ASK = 'printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 2 {host} {port} 2>/dev/null | tail -1; echo'


def server(image: str, name: str, app: str = "web", **spec: object) -> Document:
    """A pod labelled ``app`` that answers HTTP on port 8080 (by name: ``http``) with its name."""
    ports = [{"name": "http", "containerPort": PORT}]
    script = _HTTP.format(name=name, port=PORT)
    return pod(name, container(image, script, ports=ports), labels={"app": app}, **spec)


def client(image: str, name: str = "client", app: str = "client", **spec: object) -> Document:
    """A pod from which ``ask`` asks."""
    return pod(name, container(image, SLEEP), labels={"app": app}, **spec)


def ask(kubectl: Kubectl, name: str, host: str, port: int, times: int = 1) -> list[str]:
    """What an address answers pod ``name``, so many times; an answer is "" where there is none."""
    script = "; ".join([_ASK.format(host=host, port=port)] * times)
    answers = kubectl("exec", name, "--", "sh", "-c", script).split("\n")
    return [each for each in answers if each] or [""]


def ask_from_node(host: str, port: int) -> str:
    """What an address answers this machine, "" for nothing."""
    script = _ASK.format(host=host, port=port)
    done = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip()


def look_up(kubectl: Kubectl, pod_name: str, name: str, kind: str = "a") -> str:
    """What ``nslookup`` prints in a pod after the part about the server."""
    found = kubectl("exec", pod_name, "--", "sh", "-c", f"nslookup -type={kind} {name} 2>&1; true")
    return found.partition("\n\n")[2]
