"""What the books print: columns of ``kubectl get``, fields of ``describe``, selectors, contexts, files in YAML and JSON."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.workloads import container, deployment, pod, replication_controller, running
from tests.support.kubectl import Kubectl
from tests.support.rest import Document, Rest
from tests.support.wait import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PATIENCE = "--timeout=90s"
NODE_JS = """
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  annotations: {{note: not-for-selecting}}
spec:
  containers:
  - name: node-js-pod
    image: {image}
    ports:
    - containerPort: 80
"""


def _list(*documents: Document) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})


def _object(kind: str, name: str, api_version: str = "v1", **fields: Any) -> Document:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


@pytest.fixture(scope="module")
def filled(shared: Kubectl, api: Rest, space: str, image: str) -> Kubectl:
    """kubectl in a namespace that has one of everything; ``hello-pod`` runs."""
    sized = {"requests": {"cpu": 0.001, "memory": "10Mi"}, "limits": {"cpu": 2, "memory": "50Mi"}}
    mounts = [{"name": "db-volume", "mountPath": "/var/lib/data"}]
    hello = pod(
        "hello-pod",
        container(image, name="hello-ctr", ports=[{"containerPort": 8080}], resources=sized, volumeMounts=mounts),
        container(image, name="sidecar", env=[{"name": "A", "value": "b"}]),
        labels={"zone": "prod", "version": "v1", "app": "hello-world"},
        volumes=[{"name": "db-volume", "emptyDir": {}}],
    )
    ports = [{"port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    hard = {"pods": "10", "services": "5", "replicationcontrollers": "1"}
    limits = {"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "1"}, "defaultRequest": {"cpu": "10m"}}
    shared(
        "apply",
        "-f",
        "-",
        stdin=_list(
            hello,
            deployment("web", running(image)),
            replication_controller("controlled", running(image), replicas=0),
            _object("Service", "hello-svc", spec={"type": "NodePort", "ports": ports, "selector": {"app": "hello-world"}}),
            _object("Service", "hello-none", spec={"clusterIP": "None", "ports": ports, "selector": {"app": "hello-world"}}),
            _object("ConfigMap", "webapp-configmap", data={"DBHOST": "webappdb"}),
            _object("Secret", "webapp-secret", stringData={"DBUSER": "NEWDBUSER", "DBPASS": "NEWDBPASS", "DBNAME": "NEWDBNAME"}),
            _object("ResourceQuota", "test-quotas", spec={"hard": hard}),
            _object("LimitRange", "limits", spec={"limits": [limits]}),
        ),
    )  # fmt: skip
    shared("wait", "--for=condition=Ready", "pod/hello-pod", PATIENCE)
    shared("rollout", "status", "deployment/web", PATIENCE)
    return shared


EVENTS_WIDE = "LAST SEEN TYPE REASON OBJECT SUBOBJECT SOURCE MESSAGE FIRST SEEN COUNT NAME"
PODS = "NAME READY STATUS RESTARTS AGE"
COLUMNS = {
    "nodes": ("NAME STATUS ROLES AGE VERSION", "INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME"),
    "pods": (PODS, "IP NODE NOMINATED NODE READINESS GATES"),
    "services": ("NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE", "SELECTOR"),
    "endpoints": ("NAME ENDPOINTS AGE", ""),
    "endpointslices": ("NAME ADDRESSTYPE PORTS ENDPOINTS AGE", ""),
    "replicasets": ("NAME DESIRED CURRENT READY AGE", "CONTAINERS IMAGES SELECTOR"),
    "replicationcontrollers": ("NAME DESIRED CURRENT READY AGE", "CONTAINERS IMAGES SELECTOR"),
    "deployments": ("NAME READY UP-TO-DATE AVAILABLE AGE", "CONTAINERS IMAGES SELECTOR"),
    "namespaces": ("NAME STATUS AGE", ""),
    "secrets": ("NAME TYPE DATA AGE", ""),
    "configmaps": ("NAME DATA AGE", ""),
    "serviceaccounts": ("NAME SECRETS AGE", ""),
    "resourcequotas": ("NAME REQUEST LIMIT AGE", ""),
    "limitranges": ("NAME CREATED AT", ""),
    "events": ("LAST SEEN TYPE REASON OBJECT MESSAGE", None),
}
"""Of ``get``, and what ``-o wide`` adds to it; None where it puts other columns between."""


@pytest.mark.parametrize("what", COLUMNS)
def test_columns(filled: Kubectl, what: str) -> None:
    plain, more = COLUMNS[what]
    header, *rows = filled("get", what).splitlines()
    assert header.split() == plain.split()
    assert rows
    wide = filled("get", what, "-o", "wide").splitlines()[0].split()
    if more is None:
        assert wide == EVENTS_WIDE.split()
    else:
        assert wide == [*plain.split(), *more.split()]


def test_more_columns(filled: Kubectl) -> None:
    assert filled("get", "pods", "--show-labels").splitlines()[0].split() == [*PODS.split(), "LABELS"]
    assert "app=hello-world,version=v1,zone=prod" in filled("get", "pod", "hello-pod", "--show-labels")
    assert filled.within("")("get", "pods", "--all-namespaces").splitlines()[0].split() == ["NAMESPACE", *PODS.split()]
    wide = filled("get", "pod", "hello-pod", "-o", "wide", "--no-headers").split()
    assert (wide[1:4], wide[-2:]) == (["2/2", "Running", "0"], ["<none>", "<none>"])
    row = filled("get", "service", "hello-svc", "-o", "wide", "--no-headers").split()
    assert re.fullmatch(r"8080:3\d{4}/TCP", row[4])
    assert (row[1], row[3], row[-1]) == ("NodePort", "<none>", "app=hello-world")
    assert filled("get", "service", "hello-none", "--no-headers").split()[1:5] == [
        "ClusterIP",
        "None",
        "<none>",
        "8080/TCP",
    ]
    assert filled("get", "secret", "webapp-secret", "--no-headers").split()[1:3] == ["Opaque", "3"]
    address = filled("get", "pod", "hello-pod", "-o", "jsonpath={.status.podIP}")
    assert filled("get", "endpoints", "hello-svc", "--no-headers").split()[1] == f"{address}:8080"
    assert "No resources found" in filled.attempt("get", "pods", "-l", "app=none").err


def test_describe_a_pod(filled: Kubectl, space: str) -> None:
    """Every field that the books show, and Kubernetes' messages of a start."""
    text = filled("describe", "pods", "hello-pod")
    for pattern in (
        r"^Name: +hello-pod$", rf"^Namespace: +{space}$", r"^Node: +test-node/[\d.]+$",
        r"^Start Time: +\w{3}, \d\d \w{3} \d{4} [\d:]+ \+0000$",
        r"^Labels: +app=hello-world\n +version=v1\n +zone=prod$", r"^Annotations: +<none>$",
        r"^Status: +Running$", r"^IP: +[\d.]+$",
        r"^  hello-ctr:\n    Container ID: +docker://[0-9a-f]{64}$", r"^    Image: +\S+$", r"^    Image ID: +docker(-pullable)?://\S+$",
        r"^    Port: +8080/TCP$", r"^    State: +Running\n      Started: +\w{3}, ", r"^    Ready: +True$",
        r"^    Restart Count: +0$",
        r"^    Limits:\n      cpu: +2\n      memory: +50Mi\n    Requests:\n      cpu: +1m\n      memory: +10Mi$",
        r"^    Environment: +<none>$", r"^    Environment:\n      A: +b$",
        r"^    Mounts:\n      /var/lib/data from db-volume \(rw\)\n"
        r"      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-\w+ \(ro\)$",
        r"^  Initialized +True", r"^  Ready +True", r"^  ContainersReady +True", r"^  PodScheduled +True",
        r"^  db-volume:\n    Type: +EmptyDir", r"^  kube-api-access-\w+:\n    Type: +Projected", r"^QoS Class: +Burstable$",
        r"^Node-Selectors: +<none>$", r"^Tolerations: +node.kubernetes.io/not-ready:NoExecute op=Exists for 300s$",
        r"^  Type +Reason +Age +From +Message$",
        rf"^  Normal +Scheduled +\S+ +default-scheduler +Successfully assigned {space}/hello-pod to test-node$",
        r"^  Normal +Created +\S+ +kubelet +.*[Cc]reated", r"^  Normal +Started +\S+ +kubelet +.*[Ss]tarted",
    ):  # fmt: skip
        assert re.search(pattern, text, re.MULTILINE), f"{pattern} is not in\n{text}"
    for words in (("pod/hello-pod",), ("po", "hello-pod"), ("pods", "-l", "zone=prod")):
        assert filled("describe", *words).startswith("Name:             hello-pod")


def test_describe_services_and_endpoints(filled: Kubectl) -> None:
    address = filled("get", "pod", "hello-pod", "-o", "jsonpath={.status.podIP}")
    text = filled("describe", "svc", "hello-svc")
    for pattern in (
        r"^Name: +hello-svc$", r"^Labels: +<none>$", r"^Annotations: +<none>$",
        r"^Selector: +app=hello-world$", r"^Type: +NodePort$",
        r"^IP: +10\.[\d.]+$", r"^Port: +<unset>  8080/TCP$", r"^TargetPort: +8080/TCP$", r"^NodePort: +<unset>  3\d{4}/TCP$",
        rf"^Endpoints: +{address}:8080$", r"^Session Affinity: +None$", r"^Events: +<none>$",
    ):  # fmt: skip
        assert re.search(pattern, text, re.MULTILINE), f"{pattern} is not in\n{text}"
    text = filled("describe", "ep", "hello-svc")
    for pattern in (
        rf"^  Addresses: +{address}$",
        r"^  NotReadyAddresses: +<none>$",
        r"^    Name +Port +Protocol$",
        r"^    <unset> +8080 +TCP$",
    ):
        assert re.search(pattern, text, re.MULTILINE), f"{pattern} is not in\n{text}"


def test_describe_a_namespace_and_its_secrets(filled: Kubectl, space: str) -> None:
    text = filled("describe", "namespace", space)
    for pattern in (
        r"^Status: +Active$",
        r"^Resource Quotas\n  Name: +test-quotas\n  Resource +Used +Hard\n",
        r"^  pods +2 +10$",
        r"^  replicationcontrollers +1 +1$",
        r"^  services +2 +5$",
        r"^Resource Limits\n Type +Resource +Min +Max",
    ):
        assert re.search(pattern, text, re.MULTILINE), f"{pattern} is not in\n{text}"
    secret = filled("describe", "secret", "webapp-secret")
    assert re.search(r"^DBNAME: +9 bytes$", secret, re.MULTILINE)
    assert "NEWDBNAME" not in secret
    data = filled.json("get", "secret", "webapp-secret")["data"]
    assert base64.b64decode(data["DBPASS"]) == b"NEWDBPASS"
    namespace = filled.json("get", "namespace", space)
    assert (namespace["spec"]["finalizers"], namespace["status"]["phase"]) == (["kubernetes"], "Active")


def test_describe_a_deployment_and_its_sets(filled: Kubectl, image: str) -> None:
    text = filled("describe", "deploy", "web")
    for pattern in (
        r"^Name: +web$", r"^Selector: +app=web$",
        r"^Replicas: +1 desired \| 1 updated \| 1 total \| 1 available \| 0 unavailable$",
        r"^StrategyType: +RollingUpdate$", r"^MinReadySeconds: +0$",
        r"^RollingUpdateStrategy: +25% max unavailable, 25% max surge$",
        r"^Pod Template:\n  Labels: +app=web\n  Containers:\n   main:\n    Image: +" + re.escape(image) + "$",
        r"^NewReplicaSet: +web-\w+ \(1/1 replicas created\)$",
    ):  # fmt: skip
        assert re.search(pattern, text, re.MULTILINE), f"{pattern} is not in\n{text}"
    (condition,) = (
        each
        for each in filled.json("get", "deployment", "web")["status"]["conditions"]
        if each["type"] == "Progressing"
    )
    assert re.fullmatch(r'ReplicaSet "web-\w+" has successfully progressed\.', condition["message"])
    assert condition["reason"] == "NewReplicaSetAvailable"


def test_files_in_yaml_and_json(filled: Kubectl, image: str) -> None:
    """Both make the same; what has no kind or version is refused; annotations are kept and select nothing."""
    yaml = NODE_JS.format(name="from-yaml", image=image)
    assert filled("create", "--dry-run=server", "-f", "-", stdin=yaml) == "pod/from-yaml created (server dry run)"
    document = json.loads(filled("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=yaml))
    written = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "from-yaml", "annotations": {"note": "not-for-selecting"}},
            "spec": {"containers": [{"name": "node-js-pod", "image": image, "ports": [{"containerPort": 80}]}]},
        }
    )
    other = json.loads(filled("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=written))

    def without_names(made: Document) -> str:
        text = json.dumps(made["spec"], sort_keys=True)
        return re.sub(r"kube-api-access-\w+", "", text)

    assert without_names(document) == without_names(other)
    assert document["metadata"]["annotations"]["note"] == "not-for-selecting"
    for word in ("apiVersion: v1", "kind: Pod"):
        refused = filled.attempt("create", "-f", "-", stdin=yaml.replace(word, ""))
        assert refused.code != 0
        assert f"{word.split(':')[0]} not set" in refused.err, refused.err
    refused = filled.attempt("get", "pods", "--field-selector=metadata.annotations.note=not-for-selecting")
    assert "field label not supported" in refused.err, refused.err


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=web", {"one", "two"}),
        ("tier==web", {"one", "two"}),
        ("tier!=web", {"three", "four"}),
        ("tier in (web, app)", {"one", "two", "three"}),
        ("tier notin (lb, app)", {"one", "two", "four"}),
        ("tier", {"one", "two", "three"}),
        ("!tier", {"four"}),
        ("tier=web,stage=test", {"two"}),
    ],
)
def test_selectors(filled: Kubectl, selector: str, found: set[str]) -> None:
    labels = {"one": {"tier": "web"}, "two": {"tier": "web", "stage": "test"}, "three": {"tier": "app"}, "four": {}}
    made = [_object("ConfigMap", name) for name in labels]
    for each in made:
        each["metadata"]["labels"] = {"set": "selected", **labels[each["metadata"]["name"]]}
    filled("apply", "-f", "-", stdin=_list(*made))
    words = ["-l", f"set=selected,{selector}", "-o", "name"]
    assert set(filled("get", "configmaps", *words).split()) == {f"configmap/{name}" for name in found}
    filled("delete", "configmaps", *words)
    left = filled("get", "configmaps", "-l", "set=selected", "-o", "name").split()
    assert set(left) == {f"configmap/{name}" for name in labels.keys() - found}


def test_contexts(filled: Kubectl, space: str, tmp_path: Path) -> None:
    """``set-context --namespace`` makes later commands default to it; a wrong namespace is "not found"."""
    copied = tmp_path / "kubeconfig"
    copied.write_bytes(filled.kubeconfig.read_bytes())
    other = Kubectl(copied, filled.home)
    context = other("config", "current-context")
    assert context in other("config", "view")
    refused = other.attempt("describe", "pod/hello-pod")
    assert 'pods "hello-pod" not found' in refused.err
    other("config", "set-context", context, f"--namespace={space}")
    assert "hello-pod" in other("get", "pods")
    assert other("get", "nodes", "-o", "name") == "node/test-node"


async def test_events_are_counted(filled: Kubectl, api: Rest, space: str, image: str) -> None:
    """First seen, last seen and count: what is told again is one event that counts."""
    failing = pod("fails", container(image, "exit 1"), restartPolicy="Always")
    filled("apply", "-f", "-", stdin=json.dumps(failing))

    def counted() -> Document:
        found = api.get(f"/api/v1/namespaces/{space}/events", fieldSelector="involvedObject.name=fails,reason=Created")[
            "items"
        ]
        assert any(each["count"] >= 2 for each in found), found
        event: Document = next(each for each in found if each["count"] >= 2)
        return event

    event = await until(counted, timeout=90)
    assert event["firstTimestamp"] <= event["lastTimestamp"]
    assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"
    assert event["source"]["component"] == "kubelet"
    told = filled("describe", "pod", "fails")
    assert re.search(r"Normal +Created +\S+ \(x\d+ over \S+\) +kubelet +.*[Cc]reated", told), told
    filled("delete", "pod", "fails", "--now")


def test_the_parts_of_the_control_plane(filled: Kubectl) -> None:
    header, *rows = filled("get", "componentstatuses").splitlines()[-4:]
    assert header.split() == ["NAME", "STATUS", "MESSAGE", "ERROR"]
    assert [row.split() for row in rows] == [
        ["controller-manager", "Healthy", "ok"],
        ["etcd-0", "Healthy", "ok"],
        ["scheduler", "Healthy", "ok"],
    ]
    (condition,) = filled.json("get", "cs", "scheduler")["conditions"]
    assert condition == {"type": "Healthy", "status": "True", "message": "ok"}
    assert 'componentstatuses "none" not found' in filled.attempt("get", "cs", "none").err
