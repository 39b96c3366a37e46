"""Cases about volumes of objects: owners and modes of files, projections, keys in place of files, updates."""

from __future__ import annotations

import pytest

from tests.conformance.workloads import container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

SHOW = (
    "for f in $(find /v -follow -type f | grep -v /[.][.] | sort); do echo $f $(stat -L -c '%a %g' $f) $(cat $f); done"
)
USER = {"runAsUser": 1000}
GROUP = {"runAsUser": 1000, "fsGroup": 1001}
MAPPED = [{"key": "data-2", "path": "path/to/data-2"}]
MAPPED_MODE = [{**MAPPED[0], "mode": 0o400}]


def _volume(kind: str, projected: bool, mode: int | None = None, items: list[Document] | None = None) -> Document:
    name = "secretName" if kind == "secret" and not projected else "name"
    source: Document = {name: "both", **({"items": items} if items else {})}
    given = {} if mode is None else {"defaultMode": mode}
    if projected:
        return {"name": "v", "projected": {"sources": [{kind: source}], **given}}
    return {"name": "v", kind: {**source, **given}}


SEEN: dict[str, tuple[Document, list[str], list[int]]] = {
    "default": ({}, ["/v/data-1 644 0 value-1", "/v/data-2 644 0 value-2"], [0]),
    "mode": ({"mode": 0o400}, ["/v/data-1 400 0 value-1", "/v/data-2 400 0 value-2"], [0]),
    "mapped": ({"items": MAPPED}, ["/v/path/to/data-2 644 0 value-2"], [0, 1000]),
    "mapped-mode": ({"items": MAPPED_MODE}, ["/v/path/to/data-2 400 0 value-2"], [0]),
    "group": ({"mode": 0o440}, ["/v/data-1 440 1001 value-1", "/v/data-2 440 1001 value-2"], [1001]),
    "anybody": ({}, ["/v/data-1 644 0 value-1", "/v/data-2 644 0 value-2"], [1000]),
}
"""What a pod sees: the source, lines of path, mode, group and content, and as whom (1001: as 1000 of the group 1001)."""
SECURITY: dict[int, Document] = {0: {}, 1000: {"securityContext": USER}, 1001: {"securityContext": GROUP}}
CASES = [
    (kind, projected, name, user)
    for kind in ("configMap", "secret")
    for projected in (False, True)
    for name, (_, _, users) in SEEN.items()
    for user in users
]


def _named(kind: str, projected: bool, name: str, user: int) -> str:
    return f"{'p' if projected else 'v'}-{kind.lower()}-{name}-{user}"


def _pods(image: str) -> list[Document]:
    made = []
    for user, security in SECURITY.items():
        containers, volumes = [], []
        for kind, projected, name, who in CASES:
            if who == user:
                called = _named(kind, projected, name, user)
                volumes.append({**_volume(kind, projected, **SEEN[name][0]), "name": called})
                mount = {"name": called, "mountPath": "/v", "readOnly": True}
                containers.append(container(image, SHOW, called, volumeMounts=[mount]))
        made.append(pod(f"as-{user}", *containers, volumes=volumes, **security))
    return made


def _others(image: str) -> list[Document]:
    mount = [{"name": "v", "mountPath": "/v"}]
    amounts = [
        {"path": name, "resourceFieldRef": {"containerName": "main", "resource": name}}
        for name in ("limits.cpu", "limits.memory")
    ]
    name = {"path": "podname", "mode": 0o400, "fieldRef": {"fieldPath": "metadata.name"}}
    together = [
        {"configMap": {"name": "both", "items": [{"key": "data-1", "path": "cm"}]}},
        {"secret": {"name": "both", "items": [{"key": "data-1", "path": "secret"}]}},
        {"downwardAPI": {"items": [name]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
    ]
    over = [
        {"name": "c", "mountPath": "/etc/passwd", "subPath": "data-1"},
        {"name": "c", "mountPath": "/v", "subPath": "data-2"},
    ]
    show = f"rm /v/token 2>&1; test -s /v/token && echo token; {SHOW} | grep -v token"
    return [
        pod("together", container(image, show, volumeMounts=mount), volumes=[{"name": "v", "projected": {"sources": together}}]),
        pod("amounts", container(image, SHOW, volumeMounts=mount),
            volumes=[{"name": "v", "projected": {"sources": [{"downwardAPI": {"items": amounts}}]}}]),
        pod("over", container(image, "cat /etc/passwd /v", volumeMounts=over),
            volumes=[{"name": "c", "configMap": {"name": "both"}}]),
    ]  # fmt: skip


def _follower(image: str) -> Document:
    """Shows again and again what is made, changed and deleted of each kind, and the pod's labels and annotations."""
    names = ("comes", "changes", "goes")
    volumes: list[Document] = []
    for name in names:
        volumes.append({"name": f"c-{name}", "configMap": {"name": name, "optional": True}})
        volumes.append({"name": f"s-{name}", "secret": {"secretName": name, "optional": True}})
        volumes.append(
            {"name": f"p-{name}", "projected": {"sources": [{"configMap": {"name": name, "optional": True}}]}}
        )
    fields = [{"path": field, "fieldRef": {"fieldPath": f"metadata.{field}"}} for field in ("labels", "annotations")]
    volumes += [
        {"name": "d", "downwardAPI": {"items": fields}},
        {"name": "p", "projected": {"sources": [{"downwardAPI": {"items": fields}}]}},
    ]
    files = " ".join(f"{kind}-{name}/a" for name in names for kind in "csp")
    downward = "d/labels d/annotations p/labels p/annotations"
    script = (
        f"cd /v; while true; do s=; for f in {files}; do s=$s$(cat $f 2>/dev/null || echo -); done;"
        f" echo $s $(cat {downward} | grep word | tr -d '\\n'); sleep 0.3; done"
    )
    mounts = [{"name": each["name"], "mountPath": f"/v/{each['name']}"} for each in volumes]
    made = pod("follower", container(image, script, volumeMounts=mounts), volumes=volumes)
    made["metadata"].update(labels={"word": "a"}, annotations={"word": "x"})
    return made


def _object(kind: str, name: str, value: str) -> Document:
    return {"metadata": {"name": name}, "data" if kind == "configmaps" else "stringData": {"a": value}}


@pytest.fixture(scope="module")
def inside(api: Rest, space: str, image: str) -> str:
    """The path of the namespace, with the pods, all created."""
    path = f"/api/v1/namespaces/{space}"
    data = {"data-1": "value-1", "data-2": "value-2"}
    api.create(f"{path}/configmaps", {"metadata": {"name": "both"}, "data": data})
    api.create(f"{path}/secrets", {"metadata": {"name": "both"}, "stringData": data})
    for kind in ("configmaps", "secrets"):
        for name in ("changes", "goes"):
            api.create(f"{path}/{kind}", _object(kind, name, "1"))
    for document in (*_pods(image), *_others(image), _follower(image)):
        api.create(f"{path}/pods", document)
    return path


async def _lines(api: Rest, inside: str, name: str, container: str = "main") -> list[str]:
    def ended() -> bool:
        status = api.get(f"{inside}/pods/{name}")["status"]
        if status["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {status}")
        return True

    await until(ended, timeout=120, every=0.1)
    return api.request("GET", f"{inside}/pods/{name}/log", container=container).text.splitlines()


@pytest.mark.parametrize(("kind", "projected", "name", "user"), CASES)
async def test_what_is_seen_as_whom(api: Rest, inside: str, kind: str, projected: bool, name: str, user: int) -> None:
    _, seen, _ = SEEN[name]
    assert await _lines(api, inside, f"as-{user}", _named(kind, projected, name, user)) == seen


async def test_every_component_in_one_volume(api: Rest, inside: str) -> None:
    """ "should project all components that make up the projection API"; the folder is for reading only."""
    assert await _lines(api, inside, "together") == [
        "rm: can't remove '/v/token': Read-only file system",
        "token",
        "/v/cm 644 0 value-1",
        "/v/podname 400 0 together",
        "/v/secret 644 0 value-1",
    ]


async def test_without_limits_a_projection_tells_the_nodes(api: Rest, inside: str) -> None:
    allocatable = api.get("/api/v1/nodes/test-node")["status"]["allocatable"]
    memory = int(allocatable["memory"].removesuffix("Ki")) * 1024
    assert await _lines(api, inside, "amounts") == [
        f"/v/limits.cpu 644 0 {allocatable['cpu']}",
        f"/v/limits.memory 644 0 {memory}",
    ]


async def test_a_key_in_place_of_a_file(api: Rest, inside: str) -> None:
    """ "should support subpaths with configmap pod with mountPath of existing file"."""
    assert await _lines(api, inside, "over") == ["value-1value-2"]


async def test_what_comes_changes_and_goes(api: Rest, shared: Kubectl, inside: str) -> None:
    """ "optional updates should be reflected in volume", for each kind; labels and annotations follow, too."""

    def shows(text: str) -> bool:
        lines = shared("logs", "follower", "--tail=1").splitlines()
        assert [line.strip() for line in lines] == [text], lines
        return True

    def downward(label: str, note: str) -> str:
        return f'word="{label}"word="{note}"' * 2

    shared("wait", "--for=condition=Ready", "pod/follower", "--timeout=120s")
    await until(lambda: shows(f"---111111 {downward('a', 'x')}"), every=0.3)
    for kind in ("configmaps", "secrets"):
        api.create(f"{inside}/{kind}", _object(kind, "comes", "3"))
        api.patch(f"{inside}/{kind}/changes", _object(kind, "changes", "2"))
        api.delete(f"{inside}/{kind}/goes")
    api.patch(f"{inside}/pods/follower", {"metadata": {"labels": {"word": "b"}, "annotations": {"word": "y"}}})
    await until(lambda: shows(f"333222--- {downward('b', 'y')}"), timeout=120, every=0.3)
