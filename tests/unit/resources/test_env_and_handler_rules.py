"""Rules of environment variables, probes and hooks."""

from typing import Any

import pytest

from moorage.resources.names import ENV_NAME_MESSAGE
from tests.unit.resources.documents import edited, kind, pod, problems

POD = kind("Pod")
HERE = "spec.containers[0]"
FIELD = {"fieldRef": {"fieldPath": "metadata.name"}}
CONFIG = {"configMapKeyRef": {"name": "c", "key": "k"}}


def with_container(edits: dict[str, Any]) -> dict[str, Any]:
    return edited(pod(), {f"spec/containers/0/{path}": value for path, value in edits.items()})


def variable(**rest: Any) -> dict[str, Any]:
    return {"env": [{"name": "A", **rest}]}


def source(**reference: Any) -> dict[str, Any]:
    return variable(valueFrom=reference)


def liveness(**probe: Any) -> dict[str, Any]:
    return {"livenessProbe": probe}


EXEC = {"exec": {"command": ["true"]}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"env": [{"name": ""}]}, f"{HERE}.env[0].name: Required value"),
    ({"env": [{"name": "a=b"}]}, f'{HERE}.env[0].name: Invalid value: "a=b": {ENV_NAME_MESSAGE}'),
    (
        source(),
        f'{HERE}.env[0].valueFrom: Invalid value: "": must specify one of: '
        "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
    ),
    (
        source(**FIELD, **CONFIG),
        f'{HERE}.env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time',
    ),
    (
        variable(value="x", valueFrom=FIELD),
        f'{HERE}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ),
    (
        source(fileKeyRef={"volumeName": "nope", "path": "e", "key": "A"}),
        f'{HERE}.env[0].valueFrom.fileKeyRef.volumeName: Not found: "nope"',
    ),
    (
        {"lifecycle": {"stopSignal": "SIGUSR1"}},
        f"{HERE}.lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`",
    ),
    (source(fieldRef={}), f"{HERE}.env[0].valueFrom.fieldRef.fieldPath: Required value"),
    (
        source(fieldRef={"fieldPath": "metadata.shape"}),
        f'{HERE}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.shape": '
        "error converting fieldPath: field label not supported: metadata.shape",
    ),
    (
        source(fieldRef={"fieldPath": "status.phase"}),
        f'{HERE}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", ',
    ),
    (
        source(fieldRef={"fieldPath": "metadata.labels['a/']"}),
        f'{HERE}.env[0].valueFrom.fieldRef: Invalid value: "a/": name part must be non-empty',
    ),
    (
        source(fieldRef={"fieldPath": "spec.nodeName['a']"}),
        f'{HERE}.env[0].valueFrom.fieldRef: Invalid value: "spec.nodeName": does not support subscript',
    ),
    (source(resourceFieldRef={}), f"{HERE}.env[0].valueFrom.resourceFieldRef.resource: Required value"),
    (
        source(resourceFieldRef={"resource": "limits.gpu"}),
        f'{HERE}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", ',
    ),
    (
        source(resourceFieldRef={"resource": "limits.cpu", "divisor": "1Mi"}),
        f'{HERE}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": '
        "only divisor's values 1m and 1 are supported with the cpu resource",
    ),
    (
        source(resourceFieldRef={"resource": "requests.memory", "divisor": "3Mi"}),
        f'{HERE}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "requests.memory": '
        "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
    ),
    (source(secretKeyRef={"name": "s"}), f"{HERE}.env[0].valueFrom.secretKeyRef.key: Required value"),
    (
        source(configMapKeyRef={"name": "A", "key": "k"}),
        f'{HERE}.env[0].valueFrom.configMapKeyRef.name: Invalid value: "A": a lowercase RFC 1123 subdomain',
    ),
    (
        source(configMapKeyRef={"name": "c", "key": "a b"}),
        f'{HERE}.env[0].valueFrom.configMapKeyRef.key: Invalid value: "a b": a valid config key must',
    ),
    ({"envFrom": [{}]}, f'{HERE}.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'),
    (
        {"envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]},
        f'{HERE}.envFrom: Invalid value: "": may not have more than one field specified at a time',
    ),
    ({"envFrom": [{"secretRef": {}}]}, f"{HERE}.envFrom[0].secretRef.name: Required value"),
    (
        {"envFrom": [{"prefix": "a=", "secretRef": {"name": "b"}}]},
        f'{HERE}.envFrom[0].prefix: Invalid value: "a=": {ENV_NAME_MESSAGE}',
    ),
    (liveness(), f"{HERE}.livenessProbe: Required value: must specify a handler type"),
    (
        liveness(**EXEC, tcpSocket={"port": 1}),
        f"{HERE}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ),
    (liveness(exec={}), f"{HERE}.livenessProbe.exec.command: Required value"),
    (
        liveness(tcpSocket={"port": 0}),
        f"{HERE}.livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    (
        liveness(tcpSocket={"port": "80"}),
        f'{HERE}.livenessProbe.tcpSocket.port: Invalid value: "80": must contain at least one letter (a-z)',
    ),
    (
        liveness(grpc={"port": 70000}),
        f"{HERE}.livenessProbe.grpc.port: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        liveness(httpGet={"port": 80, "scheme": "FTP"}),
        f'{HERE}.livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
    ),
    (
        liveness(httpGet={"port": 80, "httpHeaders": [{"name": "a b", "value": "c"}]}),
        f'{HERE}.livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of',
    ),
    *(
        (
            liveness(**EXEC, **{name: -1}),
            f"{HERE}.livenessProbe.{name}: Invalid value: -1: must be greater than or equal to 0",
        )
        for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold")
    ),
    (liveness(**EXEC, successThreshold=2), f"{HERE}.livenessProbe.successThreshold: Invalid value: 2: must be 1"),
    (
        liveness(**EXEC, terminationGracePeriodSeconds=0),
        f"{HERE}.livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
    ),
    (
        {"readinessProbe": {**EXEC, "terminationGracePeriodSeconds": 5}},
        f"{HERE}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
    ),
    (
        {"startupProbe": {**EXEC, "successThreshold": 3}},
        f"{HERE}.startupProbe.successThreshold: Invalid value: 3: must be 1",
    ),
    ({"lifecycle": {"preStop": {}}}, f"{HERE}.lifecycle.preStop: Required value: must specify a handler type"),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        f"{HERE}.lifecycle.preStop.sleep: Invalid value: 31: "
        "must be non-negative and less than terminationGracePeriodSeconds (30)",
    ),
    ({"lifecycle": {"postStart": {"exec": {}}}}, f"{HERE}.lifecycle.postStart.exec.command: Required value"),
]


@pytest.mark.parametrize(("edits", "problem"), REFUSED)
def test_refused(edits: dict[str, Any], problem: str) -> None:
    found = problems(POD, with_container(edits))
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "edits",
    [
        {"env": [{"name": "A"}, {"name": "A", "value": "again"}, {"name": "my.env-name"}]},
        source(**FIELD),
        source(fieldRef={"fieldPath": "metadata.annotations['Example.com/a']"}),
        source(resourceFieldRef={"resource": "limits.cpu", "divisor": "1m"}),
        source(resourceFieldRef={"resource": "limits.hugepages-2Mi", "divisor": "1Mi"}),
        source(**CONFIG),
        source(secretKeyRef={"name": "s", "key": "k", "optional": True}),
        {"envFrom": [{"prefix": "A_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}]},
        liveness(httpGet={"port": "http", "path": "/x", "httpHeaders": [{"name": "X-A", "value": "b"}]}),
        liveness(grpc={"port": 9000}),
        {"readinessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 3}},
        {"lifecycle": {"preStop": {"sleep": {"seconds": 0}}, "postStart": EXEC}},
    ],
)
def test_accepted(edits: dict[str, Any]) -> None:
    assert problems(POD, with_container(edits)) == []


@pytest.mark.parametrize(
    ("volume", "path", "problem"),
    [
        ({"emptyDir": {}}, "d/e", ""),
        ({"emptyDir": {}}, "../e", "path: Invalid value: \"../e\": must not contain '..'"),
        ({"emptyDir": {}}, "/e", 'path: Invalid value: "/e": must be a relative path'),
        (
            {"hostPath": {"path": "/x"}},
            "e",
            'volumeName: Invalid value: "v": referenced volume must be of type emptyDir',
        ),
    ],
)
def test_files_of_variables(volume: dict[str, Any], path: str, problem: str) -> None:
    document = with_container(source(fileKeyRef={"volumeName": "v", "path": path, "key": "A"}))
    document["spec"]["volumes"] = [{"name": "v", **volume}]
    expected = [f"{HERE}.env[0].valueFrom.fileKeyRef.{problem}"] if problem else []
    assert problems(POD, document) == expected


@pytest.mark.parametrize(
    ("wanted", "fine"), [("SIGUSR1", True), ("SIGRTMIN+3", True), ("SIGFOO", False), ("USR1", False)]
)
def test_signals_that_end_containers(wanted: str, fine: bool) -> None:
    document = with_container({"lifecycle": {"stopSignal": wanted}})
    document["spec"]["os"] = {"name": "linux"}
    found = problems(POD, document)
    assert not found if fine else found[0].startswith(f'{HERE}.lifecycle.stopSignal: Unsupported value: "{wanted}"')
