"""Rules of containers: each refused case beside those that pass."""

from typing import Any

import pytest

from tests.unit.resources.documents import edited, kind, pod, problems

POD = kind("Pod")
SPEC = {
    "volumes": [
        {"name": "data", "emptyDir": {}},
        {"name": "disk", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "files", "image": {"reference": "files:1"}},
    ]
}
HERE = "spec.containers[0]"
LABEL = "a lowercase RFC 1123 label must consist of"


def with_container(edits: dict[str, Any]) -> dict[str, Any]:
    return edited(pod(**SPEC), {f"spec/containers/0/{path}": value for path, value in edits.items()})


def second(**container: Any) -> dict[str, Any]:
    return edited(pod(), {"spec/containers/1": {"name": "other", "image": "x:1", **container}})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, f"{HERE}.name: Required value"),
    ({"name": "A"}, f'{HERE}.name: Invalid value: "A": {LABEL}'),
    ({"image": ""}, f"{HERE}.image: Required value"),
    ({"image": " x"}, f'{HERE}.image: Invalid value: " x": must not have leading or trailing whitespace'),
    (
        {"imagePullPolicy": "Sometimes"},
        f'{HERE}.imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    ),
    (
        {"terminationMessagePolicy": "Mail"},
        f'{HERE}.terminationMessagePolicy: Unsupported value: "Mail": supported values: "File", "FallbackToLogsOnError"',
    ),
    (
        {"restartPolicy": "Sometimes"},
        f'{HERE}.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ),
    (
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
        f"{HERE}.restartPolicy: Required value: must specify restartPolicy when restart rules are used",
    ),
    (
        {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Stop", "exitCodes": {"operator": "In"}}]},
        f'{HERE}.restartPolicyRules[0].action: Unsupported value: "Stop": '
        'supported values: "Restart", "RestartAllContainers"',
    ),
    (
        {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]},
        f"{HERE}.restartPolicyRules[0].exitCodes: Required value: must be specified",
    ),
    (
        {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "Equals"}}]},
        f'{HERE}.restartPolicyRules[0].exitCodes.operator: Unsupported value: "Equals": '
        'supported values: "In", "NotIn"',
    ),
    (
        {
            "restartPolicy": "Never",
            "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}] * 21,
        },
        f"{HERE}.restartPolicyRules: Too many: 21: must have at most 20 items",
    ),
    ({"ports": [{"containerPort": 0}]}, f"{HERE}.ports[0].containerPort: Required value"),
    (
        {"ports": [{"containerPort": 99999}]},
        f"{HERE}.ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"containerPort": 80, "hostPort": 65536}]},
        f"{HERE}.ports[0].hostPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
    ),
    (
        {"ports": [{"containerPort": 80, "protocol": "HTTP"}]},
        f'{HERE}.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"',
    ),
    (
        {"ports": [{"containerPort": 80, "name": "a--b"}]},
        f'{HERE}.ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens',
    ),
    (
        {"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]},
        f'{HERE}.ports[1].name: Duplicate value: "a"',
    ),
    (
        {"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]},
        f'{HERE}.ports[1].hostPort: Duplicate value: "TCP//80"',
    ),
    ({"volumeMounts": [{"name": "data"}]}, f"{HERE}.volumeMounts[0].mountPath: Required value"),
    ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, f'{HERE}.volumeMounts[0].name: Not found: "x"'),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x"}, {"name": "data", "mountPath": "/x"}]},
        f'{HERE}.volumeMounts[1].mountPath: Invalid value: "/x": must be unique',
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "subPath": "../y"}]},
        f"{HERE}.volumeMounts.subPath: Invalid value: \"../y\": must not contain '..'",
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "subPath": "/y"}]},
        f'{HERE}.volumeMounts.subPath: Invalid value: "/y": must be a relative path',
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "subPath": "a", "subPathExpr": "b"}]},
        f'{HERE}.volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are mutually exclusive',
    ),
    (
        {"volumeMounts": [{"name": "files", "mountPath": "/x", "subPathExpr": "b"}]},
        f'{HERE}.volumeMounts[0].subPathExpr: Invalid value: "b": not allowed in image volume sources',
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "mountPropagation": "Both"}]},
        f'{HERE}.volumeMounts.mountPropagation: Unsupported value: "Both"',
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "mountPropagation": "Bidirectional"}]},
        f"{HERE}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to",
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "recursiveReadOnly": "Enabled"}]},
        f"{HERE}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/x", "recursiveReadOnly": "Yes"}]},
        f'{HERE}.volumeMounts.recursiveReadOnly: Unsupported value: "Yes"',
    ),
    (
        {"volumeDevices": [{"name": "data", "devicePath": "/dev/a"}]},
        f'{HERE}.volumeDevices[0].name: Invalid value: "data": can only use volume source type of',
    ),
    ({"volumeDevices": [{"name": "x", "devicePath": "/d"}]}, f'{HERE}.volumeDevices[0].name: Not found: "x"'),
    ({"volumeDevices": [{"name": "disk"}]}, f"{HERE}.volumeDevices[0].devicePath: Required value"),
    (
        {"volumeDevices": [{"name": "disk", "devicePath": "/a/../b"}]},
        f"{HERE}.volumeDevices[0].devicePath: Invalid value: \"/a/../b\": can not contain backsteps ('..')",
    ),
    (
        {"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]},
        f'{HERE}.resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"',
    ),
    (
        {"securityContext": {"runAsUser": -1}},
        f"{HERE}.securityContext.runAsUser: Invalid value: -1: must be between 0 and",
    ),
    (
        {"securityContext": {"procMount": "None"}},
        f'{HERE}.securityContext.procMount: Unsupported value: "None": supported values: "Default", "Unmasked"',
    ),
    (
        {"securityContext": {"procMount": "Unmasked"}},
        f'{HERE}.securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false',
    ),
    (
        {"securityContext": {"allowPrivilegeEscalation": False, "privileged": True}},
        f"{HERE}.securityContext: Invalid value: {{",
    ),
    (
        {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
        f"{HERE}.securityContext: Invalid value: {{",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Mine"}}},
        f'{HERE}.securityContext.seccompProfile.type: Unsupported value: "Mine"',
    ),
    (
        {"securityContext": {"seccompProfile": {}}},
        f"{HERE}.securityContext.seccompProfile.type: Required value: type is",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        f"{HERE}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Unconfined", "localhostProfile": "a"}}},
        f"{HERE}.securityContext.seccompProfile.localhostProfile: Invalid value: {{",
    ),
    (
        {"securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": " a"}}},
        f'{HERE}.securityContext.appArmorProfile.localhostProfile: Invalid value: " a": must not be padded',
    ),
    (
        {"securityContext": {"appArmorProfile": {"type": "Localhost"}}},
        f"{HERE}.securityContext.appArmorProfile.localhostProfile: Required value",
    ),
    (
        {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault", "localhostProfile": "a"}}},
        f'{HERE}.securityContext.appArmorProfile.localhostProfile: Invalid value: "a": can only be set when AppArmor',
    ),
]


@pytest.mark.parametrize(("edits", "problem"), REFUSED)
def test_refused(edits: dict[str, Any], problem: str) -> None:
    found = problems(POD, with_container(edits))
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "edits",
    [
        {"ports": [{"containerPort": 80, "name": "http", "hostPort": 8080}, {"containerPort": 80, "protocol": "UDP"}]},
        {"ports": [{"containerPort": 53, "hostPort": 53}, {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]},
        {"ports": [{"containerPort": 1, "hostPort": 9, "hostIP": "10.0.0.1"}, {"containerPort": 2, "hostPort": 9}]},
        {"volumeMounts": [{"name": "data", "mountPath": "/a", "subPath": "b/c"}, {"name": "data", "mountPath": "/b"}]},
        {"volumeMounts": [{"name": "data", "mountPath": "/a", "readOnly": True, "recursiveReadOnly": "IfPossible"}]},
        {"volumeMounts": [{"name": "files", "mountPath": "/a", "mountPropagation": "HostToContainer"}]},
        {"volumeDevices": [{"name": "disk", "devicePath": "/dev/xvda"}]},
        {"securityContext": {"runAsUser": 0, "runAsGroup": 2**31 - 1, "allowPrivilegeEscalation": False}},
        {"securityContext": {"privileged": True, "procMount": "Default"}},
        {"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}},
        {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]},
    ],
)
def test_accepted(edits: dict[str, Any]) -> None:
    assert problems(POD, with_container(edits)) == []


def test_there_is_a_container() -> None:
    assert problems(POD, pod(containers=[])) == ["spec.containers: Required value"]


def test_names_are_used_once() -> None:
    assert problems(POD, second()) == []
    assert problems(POD, second(name="main")) == ['spec.containers[1].name: Duplicate value: "main"']


def test_host_ports_are_used_once_in_a_pod() -> None:
    ports = {"ports": [{"containerPort": 80, "hostPort": 80}]}
    both = edited(second(**ports), {"spec/containers/0/ports": ports["ports"]})
    assert problems(POD, both) == ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"']


PROBE = {"exec": {"command": ["true"]}}


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ({"name": "main"}, 'spec.initContainers[0].name: Duplicate value: "main"'),
        ({"name": ""}, "spec.initContainers[0].name: Required value"),
        (
            {"restartPolicy": "Sometimes"},
            'spec.initContainers[0].restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", ',
        ),
        (
            {"livenessProbe": PROBE},
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers",
        ),
        ({"readinessProbe": PROBE}, "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init"),
        ({"startupProbe": PROBE}, "spec.initContainers[0].startupProbe: Forbidden: may not be set for init"),
        ({"lifecycle": {"preStop": PROBE}}, "spec.initContainers[0].lifecycle: Forbidden: may not be set for init"),
        (
            {"restartPolicy": "Always", "livenessProbe": {}},
            "spec.initContainers[0].livenessProbe: Required value: must specify a handler type",
        ),
    ],
)
def test_init_containers(container: dict[str, Any], problem: str) -> None:
    found = problems(POD, pod(initContainers=[{"name": "init", "image": "x:1", **container}]))
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_sidecars_may_be_probed() -> None:
    sidecar = {"name": "side", "image": "x:1", "restartPolicy": "Always", "readinessProbe": PROBE}
    assert problems(POD, pod(initContainers=[{"name": "init", "image": "x:1"}, sidecar])) == []


@pytest.mark.parametrize(
    ("container", "problem"),
    [
        ({"name": "main"}, 'spec.ephemeralContainers[0].name: Duplicate value: "main"'),
        ({"targetContainerName": "x"}, 'spec.ephemeralContainers[0].targetContainerName: Not found: "x"'),
        (
            {"ports": [{"containerPort": 80}]},
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
        ),
    ],
)
def test_ephemeral_containers(container: dict[str, Any], problem: str) -> None:
    debugger = {"name": "debug", "image": "x:1", "targetContainerName": "main"}
    assert problems(POD, pod(ephemeralContainers=[{**debugger, **container}])) == [problem]
    assert problems(POD, pod(ephemeralContainers=[debugger])) == []
