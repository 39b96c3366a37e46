"""What a container is given: environment, volumes, limits, rights, ports."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from moorage.client.resource import CONFIG_MAPS, PODS, SECRETS
from moorage_agent.volumes import mounts
from tests.integration.agent.rig import NAMESPACE, Document, Rig
from tests.support.docker import docker
from tests.support.wait import until

pytestmark = pytest.mark.docker


async def test_environment_comes_from_everywhere_and_references_are_replaced(rig: Rig) -> None:
    await rig.config_map("settings", COLOUR="blue", SIZE="10")
    await rig.secret("access", PASSWORD="hunter2")
    container = rig.container(
        script='echo "$COLOUR/$P_SIZE/$PASSWORD/$WHO/$ADDRESS/$CPU/$MADE/$MISSING/$0/$1"; sleep 1000',
        args=["$(MADE)", "$(UNKNOWN)"],
        envFrom=[{"prefix": "P_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "access"}}],
        env=[
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
            {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "MADE", "value": "$(COLOUR)-$$(COLOUR)"},
            {"name": "MISSING", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        ],
        resources={"limits": {"cpu": "500m", "memory": "32Mi"}},
    )
    await rig.run("env", {"containers": [container]})
    pod = await rig.running("env")
    expected = f"blue/10/hunter2/env/{pod['status']['podIP']}/500/blue-$(COLOUR)//blue-$(COLOUR)/$(UNKNOWN)\n"
    assert await rig.logged(pod, 1) == expected
    form = "{{.HostConfig.CpuShares}} {{.HostConfig.CpuQuota}} {{.HostConfig.Memory}}"
    assert docker("inspect", "-f", form, rig.containers(pod, "c")[0]) == f"512 50000 {32 * 2**20}"


async def test_a_missing_reference_is_a_config_error_until_it_is_there(rig: Rig) -> None:
    container = rig.container(script='echo "$A"; sleep 1000', envFrom=[{"configMapRef": {"name": "later"}}])
    await rig.run("wants", {"containers": [container]})
    pod = await rig.until(
        "wants", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    )
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == 'configmap "later" not found'
    assert await rig.event("wants", "Failed") == 'Error: configmap "later" not found'
    await rig.config_map("later", A="here")
    pod = await rig.running("wants")
    assert await rig.logged(pod, 1) == "here\n"


async def test_a_missing_key_is_named(rig: Rig) -> None:
    await rig.secret("half", other="x")
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "half", "key": "key"}}}]
    await rig.run("wants", env=env)
    message = await rig.event("wants", "Failed")
    assert message == f"Error: couldn't find key key in Secret {NAMESPACE}/half"


async def test_a_secret_is_in_memory_and_nowhere_else(rig: Rig) -> None:
    await rig.secret("canary", word="canary-7f3a")
    spec = {
        "containers": [
            rig.container(
                script="cat /s/word; echo; stat -fc %T /s; sleep 1000",
                volumeMounts=[{"name": "s", "mountPath": "/s"}],
                env=[{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "canary", "key": "word"}}}],
            )
        ],
        "volumes": [{"name": "s", "secret": {"secretName": "canary", "defaultMode": 0o400}}],
    }
    await rig.run("keeper", spec)
    pod = await rig.running("keeper")
    assert await rig.logged(pod, 2) == "canary-7f3a\ntmpfs\n"
    identity = rig.containers(pod, "c")[0]
    assert "canary-7f3a" not in docker("inspect", "-f", "{{json .Config.Labels}} {{json .Mounts}} {{.Name}}", identity)
    await rig.event("keeper", "Started")
    assert all("canary-7f3a" not in message for _, message in await rig.events("keeper"))
    on_disk = [
        path for path in rig.data.rglob("*") if path.is_file() and "tmpfs" not in path.relative_to(rig.data).parts
    ]
    assert on_disk
    assert all(b"canary-7f3a" not in path.read_bytes() for path in on_disk)
    await rig.delete("keeper")
    await until(lambda: not list((rig.data / "tmpfs").iterdir()))


async def test_config_volumes_follow_their_object_in_one_step(rig: Rig) -> None:
    await rig.config_map("pages", a="1", b="1", unused="x")
    items = [{"key": "a", "path": "deep/a"}, {"key": "b", "path": "b", "mode": 0o600}]
    spec = {
        "containers": [rig.container(volumeMounts=[{"name": "v", "mountPath": "/v"}])],
        "volumes": [{"name": "v", "configMap": {"name": "pages", "items": items}}],
    }
    await rig.run("reader", spec)
    pod = await rig.running("reader")
    identity = rig.containers(pod, "c")[0]
    assert docker("exec", identity, "sh", "-c", "cat /v/deep/a /v/b; ls /v; stat -Lc %a /v/b") == "11b\ndeep\n600"
    assert "Read-only file system" in docker("exec", identity, "sh", "-c", "touch /v/x 2>&1 || true")
    await rig.client.patch(CONFIG_MAPS, "pages", {"data": {"a": "2", "b": "2"}}, NAMESPACE)
    await until(lambda: docker("exec", identity, "sh", "-c", "cat /v/deep/a /v/b") == "22", timeout=30, every=0.5)


async def test_a_missing_config_map_of_a_volume_is_told_and_waited_for(rig: Rig) -> None:
    spec = {
        "containers": [rig.container(volumeMounts=[{"name": "v", "mountPath": "/v"}])],
        "volumes": [{"name": "v", "configMap": {"name": "late"}}],
    }
    await rig.run("reader", spec)
    message = await rig.event("reader", "FailedMount")
    assert message == 'MountVolume.SetUp failed for volume "v" : configmap "late" not found'
    await rig.config_map("late", a="1")
    await rig.running("reader")


async def test_volumes_of_all_kinds(rig: Rig, tmp_path: Path) -> None:
    await rig.config_map("one", key="from-config-map")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").write_text("from-host")
    sources = [
        {"configMap": {"name": "one"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"secret": {"name": "none", "optional": True}},
    ]
    paths = {"disk": "/disk", "memory": "/memory", "all": "/all", "host": "/host"}
    script = (
        "cat /all/key /all/labels /host/file; echo; stat -fc %T /memory; stat -c %a:%g /disk;"
        "cat /part/file; df -k /memory | tail -1 | awk '{print $2}'; sleep 1000"
    )
    volume_mounts: list[Document] = [{"name": name, "mountPath": path} for name, path in paths.items()]
    volume_mounts.append({"name": "host", "mountPath": "/part/file", "subPath": "file", "readOnly": True})
    spec = {
        "securityContext": {"fsGroup": 2000},
        "containers": [rig.container(script=script, volumeMounts=volume_mounts)],
        "volumes": [
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "all", "projected": {"sources": sources}},
            {"name": "host", "hostPath": {"path": str(tmp_path / "host"), "type": "Directory"}},
        ],
    }
    await rig.run("full", spec)
    pod = await rig.running("full")
    text = await rig.logged(pod, 4)
    assert text.splitlines() == [
        'from-config-mapapp="full"from-host',
        "tmpfs",
        "2777:2000",
        "from-host1024",
    ]
    await rig.delete("full")
    await until(lambda: not (rig.data / "pods" / pod["metadata"]["uid"]).exists())
    assert (tmp_path / "host" / "file").read_text() == "from-host"


async def test_a_sub_path_does_not_lead_out_of_its_volume(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "outside").write_text("not for you")
    (tmp_path / "host" / "link").symlink_to("../outside")
    mount = {"name": "host", "mountPath": "/x", "subPath": "link"}
    spec = {
        "containers": [rig.container(volumeMounts=[mount])],
        "volumes": [{"name": "host", "hostPath": {"path": str(tmp_path / "host")}}],
    }
    await rig.run("escape", spec)
    message = await rig.event("escape", "Failed")
    assert message.startswith('Error: failed to prepare subPath for volumeMount "link"')


async def test_two_containers_share_an_empty_dir_and_sub_paths_in_it(rig: Rig) -> None:
    def mount(path: str) -> dict[str, object]:
        return {
            "volumeMounts": [{"name": "d", "mountPath": "/d", "subPathExpr": path}],
            "env": [{"name": "W", "value": "w"}],
        }

    writer = rig.container("writer", "echo data > /d/file; sleep 1000", **mount("$(W)/deep"))
    reader = rig.container(
        "reader", "until [ -s /d/file ]; do sleep 0.1; done; cat /d/file; sleep 1000", **mount("w/deep")
    )
    await rig.run("pair", {"containers": [writer, reader], "volumes": [{"name": "d", "emptyDir": {}}]})
    pod = await rig.running("pair")
    assert await rig.logged(pod, 1, "reader") == "data\n"
    await rig.delete("pair")
    await until(lambda: not (rig.data / "pods" / pod["metadata"]["uid"]).exists())
    assert not mounts.mounted_below(rig.data / "pods")


async def test_a_host_port_answers_and_its_conflict_is_told(rig: Rig) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def server(answer: str, port: int = port) -> dict[str, object]:
        script = f"mkdir -p /tmp/w; echo {answer} > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w"
        return {
            "containers": [
                rig.container(script=script, ports=[{"containerPort": 80, "hostPort": port, "hostIP": "127.0.0.1"}])
            ]
        }

    await rig.run("first", server("hello"))
    await rig.running("first")

    async def answer() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as found:
                return await found.text() == "hello\n"
        except aiohttp.ClientError:
            return False

    await until(answer)
    with socket.create_server(("127.0.0.1", 0)) as program:  # of pods' ports the node knows before, of programs' not
        await rig.run("second", server("other", program.getsockname()[1]))
        message = await rig.event("second", "FailedCreatePodSandBox")
        assert "a hostPort of this pod is taken" in message
    await rig.running("second", timeout=40)


async def test_rights_are_passed_on(rig: Rig) -> None:
    context = {
        "runAsUser": 65534,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        "allowPrivilegeEscalation": False,
    }
    script = "id -u; touch /x 2>&1; grep CapBnd /proc/self/status; sleep 1000"
    await rig.run(
        "limited",
        {
            "securityContext": {"runAsGroup": 65534},
            "containers": [rig.container(script=script, securityContext=context)],
        },
    )
    pod = await rig.running("limited")
    text = await rig.logged(pod, 3)
    assert text.splitlines()[0] == "65534"
    assert "Read-only file system" in text
    assert int(text.split()[-1], 16) == 1 << 12


async def test_root_is_refused_where_it_must_not_be(rig: Rig) -> None:
    await rig.run("proud", securityContext={"runAsNonRoot": True})
    assert "container has runAsNonRoot and image will run as root" in await rig.event("proud", "Failed")


async def test_host_network_and_aliases(rig: Rig) -> None:
    await rig.run("host", {"hostNetwork": True, "containers": [rig.container(script="hostname; sleep 1000")]})
    pod = await rig.running("host")
    assert pod["status"]["podIP"] == "127.0.0.1"
    assert await rig.logged(pod, 1) == socket.gethostname() + "\n"
    aliases = [{"ip": "10.1.2.3", "hostnames": ["far", "away"]}]
    await rig.run(
        "named",
        {
            "hostname": "short",
            "hostAliases": aliases,
            "dnsConfig": {"nameservers": ["10.9.9.9"]},
            "containers": [rig.container(script="hostname; cat /etc/hosts /etc/resolv.conf; sleep 1000")],
        },
    )
    pod = await rig.running("named")
    text = await rig.logged(pod, 8)
    assert text.startswith("short\n")
    assert "10.1.2.3\tfar\taway" in text
    assert "nameserver 10.9.9.9" in text


async def test_an_updated_image_replaces_the_container(rig: Rig) -> None:
    docker("tag", "moorage-test/busybox:1", "moorage-test/busybox:2")
    await rig.run("web")
    pod = await rig.running("web")
    change = {"spec": {"containers": [{"name": "c", "image": "moorage-test/busybox:2"}]}}
    await rig.client.patch(PODS, "web", change, NAMESPACE, kind="strategic")
    await rig.event("web", "Killing", "Container c definition changed, will be restarted")
    pod = await rig.restarted("web")
    assert len(rig.containers(pod, "c", running=True)) == 1
    docker("rmi", "moorage-test/busybox:2")


async def test_pull_secrets_and_bodies_of_secrets_do_not_reach_the_agents_log(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    auth = base64.b64encode(b"user:canary-word").decode()
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "registry", "namespace": NAMESPACE},
        "stringData": {".dockerconfigjson": f'{{"auths": {{"127.0.0.1:9": {{"auth": "{auth}"}}}}}}'},
    }
    await rig.client.create(SECRETS, document)
    container = rig.container(image="127.0.0.1:9/nothing:1", imagePullPolicy="Always")
    await rig.run("puller", {"imagePullSecrets": [{"name": "registry"}], "containers": [container]})
    message = await rig.event("puller", "Failed", "Failed to pull image")
    assert "canary-word" not in message
    assert "canary-word" not in caplog.text
    assert auth not in caplog.text


async def test_variables_come_from_files_that_earlier_containers_left(rig: Rig) -> None:
    def variable(name: str, path: str, **more: Any) -> Document:
        return {"name": name, "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": path, "key": "A", **more}}}

    write = "mkdir /v/d; echo \"A='one two'\" > /v/d/env; ln -s /etc/passwd /v/out"
    init = rig.container("init", write, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    asks = [variable("X", "d/env"), variable("Y", "d/none", optional=True), {"name": "Z", "value": "<$(X)>"}]
    spec = {"restartPolicy": "Never", "initContainers": [init], "volumes": [{"name": "v", "emptyDir": {}}]}
    await rig.run("left", {**spec, "containers": [rig.container(script="echo $X; echo ${Y-no}; echo $Z", env=asks)]})
    await rig.run("out", {**spec, "containers": [rig.container(env=[variable("X", "out")])]})
    pod = await rig.until("left", lambda s: s["phase"] == "Succeeded")
    assert await rig.logs(pod) == "one two\nno\n<one two>\n"
    reason = "CreateContainerConfigError"
    pod = await rig.until("out", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == reason)
    assert "root:" not in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
