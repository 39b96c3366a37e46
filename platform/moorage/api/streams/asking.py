"""What a stream's query asks of the node. Source: API reference, PodExecOptions, PodAttachOptions, PodPortForwardOptions."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from moorage.api.errors import ApiError, bad_request
from moorage.api.options import Query, flag
from moorage.resources.kind import Document

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_PARTS = ("containers", "initContainers", "ephemeralContainers")


def base(kind: str, pod: Document) -> dict[str, Any]:
    """What every request names. Raises ApiError 400 for a pod without a node."""
    metadata = pod["metadata"]
    if not (pod.get("spec") or {}).get("nodeName"):
        raise bad_request(f"pod {metadata['name']} does not have a host assigned")
    return {"kind": kind, "namespace": metadata["namespace"], "pod": metadata["name"], "uid": metadata["uid"]}


def process(kind: str, pod: Document, query: Query, raw: bytes) -> dict[str, Any]:
    """``exec`` or ``attach``. Raises ApiError 400."""
    asked = base(kind, pod)
    asked["container"] = container(query.get("container", ""), pod)
    asked.update({name: bool(flag(query, name)) for name in ("stdin", "stdout", "stderr", "tty")})
    if "stdout" not in query and "stderr" not in query and kind == "attach":
        asked["stdout"] = asked["stderr"] = True
    if asked["tty"] and asked["stderr"]:
        asked["stderr"] = False  # a terminal has one output (kubelet's ``remotecommand.NewOptions``)
    if not (asked["stdin"] or asked["stdout"] or asked["stderr"]):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if kind == "exec":
        asked["command"] = parse_qs(raw.decode("ascii", "replace"), keep_blank_values=True).get("command", [])
        if not asked["command"]:
            raise ApiError(422, 'PodExecOptions "" is invalid: command: Required value')
    return asked


def ports(raw: bytes) -> list[int]:
    """The ports of a port-forward whose streams are not asked for one by one. Raises ApiError 400."""
    found: list[int] = []
    for text in parse_qs(raw.decode("ascii", "replace")).get("ports", []):
        found.extend(port(each) for each in text.split(","))
    if not found:
        raise bad_request('query parameter "ports" is required')
    return found


def port(text: str) -> int:
    """A port. Raises ApiError 400."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**16:
        raise bad_request(f"unable to parse {text!r} as a port".replace("'", '"'))
    return int(text)


def container(asked: str, pod: Document) -> str:
    """The container that is meant. Raises ApiError 400 where there is none of that name, or several to choose from."""
    spec = pod.get("spec") or {}
    names = {part: [str(each["name"]) for each in spec.get(part) or ()] for part in _PARTS}
    pod_name = pod["metadata"]["name"]
    if asked:
        if not any(asked in of_part for of_part in names.values()):
            raise bad_request(f"container {asked} is not valid for pod {pod_name}")
        return asked
    regular = names["containers"]
    preferred = str((pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER, ""))
    if preferred in regular:
        return preferred
    if len(regular) == 1:
        return regular[0]
    choices = f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(regular)}]"
    if names["initContainers"]:
        choices += f" or one of the init containers: [{' '.join(names['initContainers'])}]"
    raise bad_request(choices)
