"""Rules of a pod as a whole, of bindings, and of deletion."""

from typing import Any

import pytest

from moorage.resources.core.pods.declaration import BINDING, grace_seconds
from tests.unit.resources.documents import edited, kind, pod, problems, stored

POD = kind("Pod")
GATES = [{"name": "example.com/a"}]
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        pod(restartPolicy="Foo"),
        'spec.restartPolicy: Unsupported value: "Foo": supported values: "Always", "OnFailure", "Never"',
    ),
    (
        pod(dnsPolicy="Foo"),
        'spec.dnsPolicy: Unsupported value: "Foo": supported values: '
        '"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
    ),
    (pod(dnsPolicy="None"), "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    (
        pod(dnsPolicy="None", dnsConfig={"searches": ["a"]}),
        "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
    ),
    (
        pod(dnsConfig={"nameservers": ["1.2.3"]}),
        'spec.dnsConfig.nameservers[0]: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ),
    (pod(dnsConfig={"nameservers": ["1.1.1.1"] * 4}), "spec.dnsConfig.nameservers: Invalid value: ["),
    (pod(dnsConfig={"searches": ["a"] * 33}), "spec.dnsConfig.searches: Invalid value: ["),
    (pod(dnsConfig={"searches": ["a" * 250] * 9}), "spec.dnsConfig.searches: Invalid value: ["),
    (pod(dnsConfig={"searches": ["a..b"]}), 'spec.dnsConfig.searches[0]: Invalid value: "a..b"'),
    (pod(dnsConfig={"options": [{"value": "1"}]}), "spec.dnsConfig.options[0]: Required value: must not be empty"),
    (pod(hostname="a.b"), 'spec.hostname: Invalid value: "a.b": a lowercase RFC 1123 label'),
    (pod(subdomain="a.b"), 'spec.subdomain: Invalid value: "a.b": a lowercase RFC 1123 label'),
    (pod(nodeName="A"), 'spec.nodeName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
    (pod(serviceAccountName="A"), 'spec.serviceAccountName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
    (pod(priorityClassName="A"), 'spec.priorityClassName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
    (pod(runtimeClassName="A"), 'spec.runtimeClassName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
    (
        pod(activeDeadlineSeconds=0),
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
    (pod(hostAliases=[{"ip": "x"}]), 'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address'),
    (pod(hostAliases=[{"ip": "1.1.1.1", "hostnames": ["A"]}]), 'spec.hostAliases[0].hostnames[0]: Invalid value: "A"'),
    (pod(preemptionPolicy="Always"), 'spec.preemptionPolicy: Unsupported value: "Always": supported values:'),
    (pod(overhead={"cpu": "-1"}), 'spec.overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'),
    (pod(os={"name": "plan9"}), 'spec.os.name: Unsupported value: "plan9": supported values: "linux", "windows"'),
    (pod(readinessGates=[{"conditionType": "a/"}]), 'spec.readinessGates[0].conditionType: Invalid value: "a/"'),
    (pod(schedulingGates=[{"name": "a/"}]), 'spec.schedulingGates[0]: Invalid value: "a/"'),
    (pod(schedulingGates=[*GATES, *GATES]), 'spec.schedulingGates[1]: Duplicate value: "example.com/a"'),
    (pod(schedulingGates=GATES, nodeName="n"), "spec.nodeName: Forbidden: cannot be set until all schedulingGates"),
    (pod(resourceClaims=[{"name": "a"}]), 'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of'),
    (pod(resourceClaims=[{"resourceClaimName": "x"}]), "spec.resourceClaims[0].name: Required value"),
    (pod(hostUsers=False, hostNetwork=True), "spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false"),
    (pod(hostUsers=False, hostPID=True), "spec.hostPID: Forbidden: when `pod.Spec.HostUsers` is false"),
    (
        pod(hostPID=True, shareProcessNamespace=True),
        "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot",
    ),
    (pod(securityContext={"fsGroup": -1}), "spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and"),
    (pod(securityContext={"runAsUser": 2**31}), "spec.securityContext.runAsUser: Invalid value: 2147483648: must be"),
    (
        pod(securityContext={"supplementalGroups": [1, -2]}),
        "spec.securityContext.supplementalGroups[1]: Invalid value: -2",
    ),
    (
        pod(securityContext={"fsGroupChangePolicy": "x"}),
        'spec.securityContext.fsGroupChangePolicy: Unsupported value: "x"',
    ),
    (pod(securityContext={"sysctls": [{"value": "1"}]}), "spec.securityContext.sysctls[0].name: Required value"),
    (
        pod(securityContext={"sysctls": [{"name": "a b"}]}),
        'spec.securityContext.sysctls[0].name: Invalid value: "a b": must',
    ),
    (
        pod(securityContext={"sysctls": [{"name": "net.x"}, {"name": "net.x"}]}),
        'spec.securityContext.sysctls[1].name: Duplicate value: "net.x"',
    ),
    (
        pod(hostNetwork=True, securityContext={"sysctls": [{"name": "net/x"}]}),
        "spec.securityContext.sysctls[0].name: Invalid value: \"net/x\": may not be specified when 'hostNetwork' is true",
    ),
    (
        edited(pod(), {"metadata/annotations": {"controller.kubernetes.io/pod-deletion-cost": "high"}}),
        "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: "
        'Invalid value: "high": must be a 32bit integer',
    ),
    (
        edited(pod(hostNetwork=True), {"spec/containers/0/ports": [{"containerPort": 80, "hostPort": 81}]}),
        "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
    ),
]


@pytest.mark.parametrize(("document", "problem"), REFUSED)
def test_refused(document: dict[str, Any], problem: str) -> None:
    found = problems(POD, document)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "document",
    [
        pod(restartPolicy="OnFailure", dnsPolicy="Default"),
        pod(dnsPolicy="None", dnsConfig={"nameservers": ["1.1.1.1", "2001:db8::1"], "searches": ["_a.b.", "."]}),
        pod(dnsConfig={"options": [{"name": "ndots", "value": "2"}]}),
        pod(hostname="web", subdomain="shop", nodeName="node-1.example.com"),
        pod(activeDeadlineSeconds=1, terminationGracePeriodSeconds=0),
        pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a.example.com"]}]),
        pod(securityContext={"fsGroup": 0, "sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}]}),
        pod(hostUsers=False),
        pod(shareProcessNamespace=True, os={"name": "linux"}),
        pod(readinessGates=[{"conditionType": "example.com/up"}], schedulingGates=GATES),
        edited(pod(), {"metadata/annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}),
        edited(pod(hostNetwork=True), {"spec/containers/0/ports": [{"containerPort": 80}]}),
    ],
)
def test_accepted(document: dict[str, Any]) -> None:
    assert problems(POD, document) == []


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ({"kind": "Node", "name": "n"}, []),
        ({"name": "n"}, []),
        ({"kind": "Node"}, ["target.name: Required value"]),
        ({"kind": "Pod", "name": "n"}, ['target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"']),
    ],
)
def test_bindings(target: dict[str, str], found: list[str]) -> None:
    assert [str(error) for error in BINDING.validate({"target": target})] == found


@pytest.mark.parametrize(
    ("spec", "status", "asked", "seconds"),
    [
        ({"nodeName": "n"}, {}, None, 30),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 5}, {}, None, 5),
        ({"nodeName": "n", "terminationGracePeriodSeconds": -5}, {}, None, 1),
        ({"nodeName": "n"}, {}, 0, 0),
        ({"nodeName": "n"}, {}, 7, 7),
        ({}, {}, 7, 0),
        ({"nodeName": "n"}, {"phase": "Succeeded"}, None, 0),
        ({"nodeName": "n"}, {"phase": "Failed"}, 7, 0),
    ],
)
def test_seconds_to_stop_in(spec: dict[str, Any], status: dict[str, Any], asked: int | None, seconds: int) -> None:
    assert grace_seconds({"spec": spec, "status": status}, asked) == seconds


def test_selectable_fields() -> None:
    fields = POD.fields(
        {**stored(POD, pod(nodeName="n")), "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}}
    )
    assert fields == {
        "spec.nodeName": "n",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "default",
        "spec.hostNetwork": "false",
        "status.phase": "Running",
        "status.podIP": "10.0.0.1",
        "status.nominatedNodeName": "",
    }


def test_what_is_wrong_with_a_spec_is_wrong_again_in_the_next_pod() -> None:
    wrong = pod(restartPolicy="Foo")
    assert problems(POD, wrong) == problems(POD, wrong) != []
    assert problems(POD, pod(restartPolicy="Never")) == []


def test_a_spec_too_long_to_be_remembered_is_judged_as_any_other() -> None:
    environment = [{"name": f"V{number}", "value": "x" * 100} for number in range(200)]
    long = pod(containers=[{"name": "c", "image": "i", "env": environment}])
    assert problems(POD, long) == []
    assert problems(POD, {**long, "spec": {**long["spec"], "restartPolicy": "Foo"}}) != []
