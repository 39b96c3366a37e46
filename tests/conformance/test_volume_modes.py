"""Modes of files in emptyDir and downward API volumes, as root and as another user; amounts that volumes tell of."""

from __future__ import annotations

import pytest

from tests.conformance.workloads import container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

MODES = "umask 0; for m in 644 666 777; do echo of $m >/v/$m; chmod $m /v/$m; stat -c '%a %u' /v/$m; cat /v/$m; done"
SHOW = "for f in limits.cpu limits.memory requests.cpu requests.memory; do echo $f $(stat -L -c %a /v/$f) $(cat /v/$f); done"
RESOURCES = {"limits": {"cpu": "1250m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}
AMOUNTS = [
    {"path": name, "resourceFieldRef": {"containerName": "main", "resource": name, "divisor": divisor}}
    for name, divisor in (
        ("limits.cpu", "1m"), ("limits.memory", "1Mi"), ("requests.cpu", "1m"), ("requests.memory", "1Mi")
    )
]  # fmt: skip


def _pods(image: str) -> list[Document]:
    mounts = [{"name": "v", "mountPath": "/v"}]
    made = [
        pod(
            f"{medium or 'disk'}-{user}".lower(),
            container(image, MODES, volumeMounts=mounts, securityContext={"runAsUser": user}),
            volumes=[{"name": "v", "emptyDir": {"medium": medium}}],
        )
        for medium in ("", "Memory")
        for user in (0, 1000)
    ]
    sources: dict[str, Document] = {
        "downward": {"downwardAPI": {"defaultMode": 0o400, "items": AMOUNTS}},
        "projected": {"projected": {"defaultMode": 0o400, "sources": [{"downwardAPI": {"items": AMOUNTS}}]}},
    }
    for name, source in sources.items():
        volumes = [{"name": "v", **source}]
        made.append(pod(name, container(image, SHOW, volumeMounts=mounts, resources=RESOURCES), volumes=volumes))
    bare = {**sources["projected"]["projected"], "defaultMode": 0o644}
    volumes = [{"name": "v", "projected": bare}]
    made.append(pod("unlimited", container(image, "cat /v/limits.memory", volumeMounts=mounts), volumes=volumes))
    return made


@pytest.fixture(scope="module")
def pods(api: Rest, space: str, image: str) -> str:
    """The path of pods that show what they find, all started together."""
    path = f"/api/v1/namespaces/{space}/pods"
    for document in _pods(image):
        api.create(path, document)
    return path


async def _lines(api: Rest, pods: str, name: str) -> list[str]:
    def ended() -> bool:
        status = api.get(f"{pods}/{name}")["status"]
        if status["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {status}")
        return True

    await until(ended, timeout=90, every=0.1)
    return api.request("GET", f"{pods}/{name}/log", container="main").text.splitlines()


@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize("medium", ["disk", "memory"])
async def test_files_of_an_empty_directory_keep_their_modes(api: Rest, pods: str, medium: str, user: int) -> None:
    expected = [line for mode in (644, 666, 777) for line in (f"{mode} {user}", f"of {mode}")]
    assert await _lines(api, pods, f"{medium}-{user}") == expected


@pytest.mark.parametrize("name", ["downward", "projected"])
async def test_amounts_are_told_in_files_of_the_default_mode(api: Rest, pods: str, name: str) -> None:
    assert await _lines(api, pods, name) == [
        "limits.cpu 400 1250",
        "limits.memory 400 64",
        "requests.cpu 400 250",
        "requests.memory 400 32",
    ]


async def test_without_a_limit_a_projected_file_tells_the_nodes_memory(api: Rest, pods: str) -> None:
    lines = await _lines(api, pods, "unlimited")
    node = api.get(f"{pods}/unlimited")["spec"]["nodeName"]
    kibibytes = int(api.get(f"/api/v1/nodes/{node}")["status"]["allocatable"]["memory"].removesuffix("Ki"))
    assert lines == [str(-(-kibibytes // 1024))]
