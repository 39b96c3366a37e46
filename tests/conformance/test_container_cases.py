"""Cases about what one container finds and does: its image's words, environment, user, hosts file. All start together."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.conformance.workloads import SLEEP, container, pod
from tests.support.rest import Document, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

SPEAKING = "moorage-test/speaking:1"
"""The test image with an entry point and arguments of its own."""
PREFIXES = ("p-", "1-", "$_-", "#Var.", "!~ ")
"""What may stand before a name taken from an object: any printable ASCII but "="."""
MANAGED = "# Kubernetes-managed hosts file."


@pytest.fixture(scope="module")
def speaking(image: str) -> str:
    """An image whose entry point and arguments print themselves."""
    words = ['ENTRYPOINT ["/bin/echo", "entry"]', 'CMD ["default", "words"]']
    changes = [part for word in words for part in ("--change", word)]
    made = subprocess.run(["docker", "create", image, "true"], capture_output=True, check=True, text=True)
    subprocess.run(["docker", "commit", *changes, made.stdout.strip(), SPEAKING], capture_output=True, check=True)
    subprocess.run(["docker", "rm", made.stdout.strip()], capture_output=True, check=True)
    return SPEAKING


def _of_the_image(name: str, image: str, **more: Any) -> Document:
    return pod(name, {"name": "main", "image": image, "imagePullPolicy": "Never", **more})


def _environment(image: str) -> list[Document]:
    resource = [
        {"name": name.replace(".", "_"), "valueFrom": {"resourceFieldRef": {"resource": name}}}
        for name in ("limits.cpu", "limits.memory")
    ]
    sources = [
        {"prefix": prefix, kind: {"name": "source"}} for prefix in PREFIXES for kind in ("configMapRef", "secretRef")
    ]
    words = [{"name": "TEST_VAR", "value": "test-value"}]
    return [
        pod("node-amounts", container(image, "env", env=resource)),
        # Not by a shell: that forgets names that are none of a variable's.
        pod("prefixes", {**container(image, envFrom=sources), "command": ["/bin/env"]}),
        pod("expanded-args", container(image, 'echo "$0"', env=words, args=["$(TEST_VAR);$$(TEST_VAR)"])),
    ]


def _users(image: str) -> list[Document]:
    link = "id -u; ip link add dummy0 type dummy 2>/dev/null && echo made || echo refused"
    gain = "id -u; grep -E 'NoNewPrivs|CapEff' /proc/self/status | tr -d '\\t'"
    both = {"runAsUser": 1001, "runAsGroup": 2002}
    return [
        pod("user", container(image, "id -u", securityContext={"runAsUser": 65534})),
        pod("pods-user", container(image, "id -u; id -g"), securityContext=both),
        pod("own-user", container(image, "id -u; id -g", securityContext=both), securityContext={"runAsUser": 5}),
        pod("no-privileges", container(image, link, securityContext={"privileged": False})),
        pod("no-gain", container(image, gain, securityContext={"allowPrivilegeEscalation": False, "runAsUser": 1000})),
        pod("gain", container(image, gain, securityContext={"runAsUser": 1000})),
        pod("may-gain", container(image, gain, securityContext={"allowPrivilegeEscalation": True, "runAsUser": 1000})),
        pod("writable", container(image, "touch /file && echo written", securityContext={"readOnlyRootFilesystem": False})),
    ]  # fmt: skip


def _messages(image: str) -> list[Document]:
    falls: Document = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    return [
        pod("message-file", container(image, "echo -n OK > /dev/termination-log; echo noise", **falls)),
        pod("message-log", container(image, "echo DONE >&2; exit 1", **falls)),
        pod("message-none", container(image, "echo noise", **falls)),
        pod("both-streams", container(image, "echo Hello World; echo oh no >&2")),
    ]


def _hosts(image: str) -> list[Document]:
    script = "cat /etc/hosts; echo ---; cat /etc/other; echo ---; cat /etc/resolv.conf; hostname; hostname -f"
    own = [{"name": "own", "mountPath": "/etc/hosts", "subPath": "hosts"}]
    shown = "cat /etc/hosts"
    options = [{"name": "ndots", "value": "2"}]
    own_names = {"nameservers": ["1.1.1.1"], "searches": ["resolv.conf.local"], "options": options}
    aliases = [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]
    return [
        pod("aliases", container(image, "touch /etc/other; " + script), hostAliases=aliases),
        pod("hosts", container(image, shown, "one"), container(image, shown, "two", volumeMounts=own),
            volumes=[{"name": "own", "configMap": {"name": "source"}}]),
        pod("hosts-of-the-node", container(image, shown), hostNetwork=True),
        pod("own-names", container(image, "cat /etc/resolv.conf"), dnsPolicy="None",
            dnsConfig=own_names),
        pod("called", container(image, "hostname; hostname -f; cat /etc/hosts"), hostname="given", subdomain="below"),
        pod("fully-called", container(image, "hostname"), hostname="given", subdomain="below", setHostnameAsFQDN=True),
    ]  # fmt: skip


def _restarts(image: str) -> list[Document]:
    """A container that fails once and then runs on, or ends well, under each policy."""
    mount = [{"name": "v", "mountPath": "/v"}]
    once = "echo x >> /v/x; test $(wc -l < /v/x) -ge 2 || exit 1;"
    made = []
    for policy, then in (("Always", SLEEP), ("OnFailure", "exit 0"), ("Never", "exit 0")):
        one = container(image, f"{once} {then}", volumeMounts=mount)
        volumes = [{"name": "v", "emptyDir": {}}]
        made.append(pod(f"fails-once-{policy.lower()}", one, restartPolicy=policy, volumes=volumes))
    return made


@pytest.fixture(scope="module")
def pods(api: Rest, space: str, image: str, speaking: str) -> str:
    """The path of the pods, all created."""
    inside = f"/api/v1/namespaces/{space}"
    data = {"data_1": "value-1", "hosts": "9.9.9.9 mine\n"}
    api.create(f"{inside}/configmaps", {"metadata": {"name": "source"}, "data": data})
    api.create(f"{inside}/secrets", {"metadata": {"name": "source"}, "stringData": {"secret_1": "hidden-1"}})
    documents = [
        _of_the_image("blank", speaking),
        _of_the_image("arguments", speaking, args=["override", "arguments"]),
        _of_the_image("command", speaking, command=["/bin/echo", "override"]),
        _of_the_image("all", speaking, command=["/bin/echo", "override"], args=["all", "words"]),
        *(one for make in (_environment, _users, _messages, _hosts, _restarts) for one in make(image)),
    ]
    for document in documents:
        api.create(f"{inside}/pods", document)
    return f"{inside}/pods"


async def _ended(api: Rest, pods: str, name: str) -> Document:
    def ended() -> Document:
        status: Document = api.get(f"{pods}/{name}")["status"]
        if status["phase"] not in {"Succeeded", "Failed"}:
            raise NotYet(f"{name}: {status}")
        return status

    return await until(ended, timeout=120, every=0.1)


async def _lines(api: Rest, pods: str, name: str, container: str = "main") -> list[str]:
    await _ended(api, pods, name)
    return api.request("GET", f"{pods}/{name}/log", container=container).text.splitlines()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blank", "entry default words"),
        ("arguments", "entry override arguments"),
        ("command", "override"),
        ("all", "override all words"),
    ],
)
async def test_whose_words_a_container_runs(api: Rest, pods: str, name: str, said: str) -> None:
    """A command of the pod's replaces the image's entry point, and its arguments, too."""
    assert await _lines(api, pods, name) == [said]


async def test_without_limits_the_environment_tells_the_nodes(api: Rest, pods: str) -> None:
    lines = await _lines(api, pods, "node-amounts")
    allocatable = api.get("/api/v1/nodes/test-node")["status"]["allocatable"]
    assert f"limits_cpu={allocatable['cpu']}" in lines
    assert f"limits_memory={int(allocatable['memory'].removesuffix('Ki')) * 1024}" in lines


async def test_any_printable_prefix(api: Rest, pods: str) -> None:
    lines = await _lines(api, pods, "prefixes")
    for prefix in PREFIXES:
        assert f"{prefix}data_1=value-1" in lines
        assert f"{prefix}secret_1=hidden-1" in lines


async def test_arguments_are_expanded(api: Rest, pods: str) -> None:
    assert await _lines(api, pods, "expanded-args") == ["test-value;$(TEST_VAR)"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("user", ["65534"]),
        ("pods-user", ["1001", "2002"]),
        ("own-user", ["1001", "2002"]),
        ("no-privileges", ["0", "refused"]),
        ("no-gain", ["1000", "CapEff:0000000000000000", "NoNewPrivs:1"]),
        ("gain", ["1000", "CapEff:0000000000000000", "NoNewPrivs:0"]),
        ("may-gain", ["1000", "CapEff:0000000000000000", "NoNewPrivs:0"]),
        ("writable", ["written"]),
    ],
)
async def test_who_a_container_is_and_what_it_may(api: Rest, pods: str, name: str, said: list[str]) -> None:
    assert await _lines(api, pods, name) == said
    assert (await _ended(api, pods, name))["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("name", "message"), [("message-file", "OK"), ("message-log", "DONE\n"), ("message-none", None)]
)
async def test_what_a_container_leaves_to_say(api: Rest, pods: str, name: str, message: str | None) -> None:
    (status,) = (await _ended(api, pods, name))["containerStatuses"]
    assert status["state"]["terminated"].get("message") == message


async def test_a_log_has_both_streams(api: Rest, pods: str) -> None:
    assert sorted(await _lines(api, pods, "both-streams")) == ["Hello World", "oh no"]


async def test_names_in_the_hosts_file(api: Rest, pods: str) -> None:
    lines = await _lines(api, pods, "aliases")
    assert lines[0] == MANAGED
    assert "# Entries added by HostAliases." in lines
    assert "123.45.67.89\tfoo\tbar" in lines
    assert (await _lines(api, pods, "hosts", "one"))[0] == MANAGED
    assert await _lines(api, pods, "hosts", "two") == ["9.9.9.9 mine"]
    assert MANAGED not in await _lines(api, pods, "hosts-of-the-node")


async def test_names_of_a_pod(api: Rest, space: str, pods: str) -> None:
    lines = await _lines(api, pods, "called")
    full = f"given.below.{space}.svc.cluster.local"
    assert lines[:2] == ["given", full]
    assert any(line.endswith(f"\t{full}\tgiven") for line in lines)
    assert await _lines(api, pods, "fully-called") == [full]
    assert await _lines(api, pods, "own-names") == [
        "search resolv.conf.local",
        "nameserver 1.1.1.1",
        "options ndots:2",
    ]


@pytest.mark.parametrize(
    ("policy", "phase", "restarts"), [("always", "Running", 1), ("onfailure", "Succeeded", 1), ("never", "Failed", 0)]
)
async def test_what_is_restarted(api: Rest, pods: str, policy: str, phase: str, restarts: int) -> None:
    """ "starting a container that exits should run with the expected status"."""

    def there() -> bool:
        status = api.get(f"{pods}/fails-once-{policy}")["status"]
        (one,) = status.get("containerStatuses") or [{}]
        ready = {each["type"]: each["status"] for each in status.get("conditions", ())}.get("Ready")
        found = (status["phase"], one.get("restartCount"), ready == "True", "running" in one.get("state", {}))
        assert found == (phase, restarts, phase == "Running", phase == "Running"), status
        return True

    await until(there, timeout=120)
