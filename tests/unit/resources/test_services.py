"""Services: defaults, rules, changes of type, columns."""

from typing import Any

import pytest

from tests.unit.resources.documents import NOW, REMOVED, changed_problems, edited, kind, plain, problems, stored

SERVICE = kind("Service")
PORT = {"port": 80}


def service(**spec: Any) -> dict[str, Any]:
    return plain("Service", spec={"ports": [PORT], "selector": {"app": "web"}, **spec})


def external_name(**spec: Any) -> dict[str, Any]:
    return plain("Service", spec={"type": "ExternalName", "externalName": "db.example.com", **spec})


def test_the_least_service() -> None:
    assert stored(SERVICE, service())["spec"] == {
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "selector": {"app": "web"},
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }
    assert stored(SERVICE, service())["status"] == {"loadBalancer": {}}


def test_defaults_by_type() -> None:
    balanced = stored(SERVICE, service(type="LoadBalancer"))["spec"]
    assert balanced["allocateLoadBalancerNodePorts"] is True
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert stored(SERVICE, service(externalIPs=["10.0.0.1"]))["spec"]["externalTrafficPolicy"] == "Cluster"
    named = stored(SERVICE, external_name())["spec"]
    assert not named.keys() & {"ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"}
    sticky = stored(SERVICE, service(sessionAffinity="ClientIP"))["spec"]
    assert sticky["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_the_first_address_is_said_twice() -> None:
    spec = stored(SERVICE, service(clusterIP="fd00::1"))["spec"]
    assert spec["clusterIPs"] == ["fd00::1"]
    assert spec["ipFamilies"] == ["IPv6"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (service(ports=[]), "spec.ports: Required value"),
    (service(type="Foo"), 'spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", '),
    (
        service(ports=[{"port": 0, "targetPort": 80}]),
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    (service(ports=[{**PORT, "targetPort": 70000}]), "spec.ports[0].targetPort: Invalid value: 70000: must be between"),
    (
        service(ports=[{**PORT, "targetPort": "80"}]),
        'spec.ports[0].targetPort: Invalid value: "80": must contain at least one',
    ),
    (
        service(ports=[{**PORT, "protocol": "X"}]),
        'spec.ports[0].protocol: Unsupported value: "X": supported values: "SCTP"',
    ),
    (service(ports=[{**PORT, "name": "A"}]), 'spec.ports[0].name: Invalid value: "A": a lowercase RFC 1123 label'),
    (service(ports=[{**PORT, "name": "a"}, {"port": 81, "name": "a"}]), 'spec.ports[1].name: Duplicate value: "a"'),
    (service(ports=[{**PORT, "name": "a"}, {"port": 81}]), "spec.ports[1].name: Required value"),
    (
        service(ports=[{**PORT, "name": "a"}, {**PORT, "name": "b"}]),
        'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
    ),
    (service(ports=[{**PORT, "appProtocol": "a/"}]), 'spec.ports[0].appProtocol: Invalid value: "a/": name part'),
    (
        service(ports=[{**PORT, "nodePort": 30000}]),
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        service(type="NodePort", ports=[{**PORT, "nodePort": 80}]),
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
        "The range of valid ports is 30000-32767",
    ),
    (
        service(type="NodePort", ports=[{"port": p, "name": f"n{p}", "nodePort": 30000} for p in (80, 81)]),
        "spec.ports[1].nodePort: Duplicate value: 30000",
    ),
    (service(selector={"a/": "b"}), 'spec.selector: Invalid value: "a/": name part must be non-empty'),
    (
        service(sessionAffinity="Yes"),
        'spec.sessionAffinity: Unsupported value: "Yes": supported values: "ClientIP", "None"',
    ),
    (
        service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 0}}),
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
    ),
    (service(clusterIP="x"), 'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address'),
    (
        service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.2"]),
        'spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`',
    ),
    (
        service(clusterIPs=["10.0.0.2"]),
        'spec.clusterIPs: Invalid value: ["10.0.0.2"]: must be empty when `clusterIP` is not',
    ),
    (
        service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1", "10.0.0.2"]),
        'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family',
    ),
    (
        service(clusterIP="None", clusterIPs=["None", "10.0.0.1"]),
        'spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: \'None\' must be the first and only value',
    ),
    (
        service(clusterIP="10.0.0.1", ipFamilies=["IPv6"]),
        'spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
    ),
    (service(ipFamilies=["IPv5"]), 'spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"'),
    (service(ipFamilies=["IPv4", "IPv4"]), 'spec.ipFamilies[1]: Duplicate value: "IPv4"'),
    (
        service(ipFamilyPolicy="Both"),
        'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack"',
    ),
    (
        service(type="NodePort", clusterIP="None"),
        "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort",
    ),
    (external_name(externalName=""), "spec.externalName: Required value"),
    (external_name(externalName="A"), 'spec.externalName: Invalid value: "A": a lowercase RFC 1123 subdomain'),
    (external_name(ipFamilies=["IPv4"]), "spec.ipFamilies: Forbidden: may not be set for ExternalName services"),
    (service(externalIPs=["x"]), 'spec.externalIPs[0]: Invalid value: "x": must be a valid IP address'),
    (
        service(externalIPs=["127.0.0.1"]),
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range',
    ),
    (
        service(externalIPs=["0.0.0.0"]),
        'spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
    ),
    (
        service(externalIPs=["169.254.1.1"]),
        'spec.externalIPs[0]: Invalid value: "169.254.1.1": may not be in the link-local',
    ),
    (
        service(externalIPs=["224.0.0.1"]),
        'spec.externalIPs[0]: Invalid value: "224.0.0.1": may not be in the link-local multicast',
    ),
    (
        service(loadBalancerSourceRanges=["10.0.0.0/8"]),
        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
    (
        service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0"]),
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": must be a valid CIDR value',
    ),
    (
        service(loadBalancerClass="a.b/c"),
        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
    (
        service(externalTrafficPolicy="Local"),
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally',
    ),
    (service(type="NodePort", externalTrafficPolicy="Near"), 'spec.externalTrafficPolicy: Unsupported value: "Near"'),
    (
        service(internalTrafficPolicy="Near"),
        'spec.internalTrafficPolicy: Unsupported value: "Near": supported values: "Cluster"',
    ),
    (
        service(healthCheckNodePort=30000),
        "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is",
    ),
    (
        service(trafficDistribution="Far"),
        'spec.trafficDistribution: Unsupported value: "Far": supported values: "PreferClose"',
    ),
    (
        edited(service(), {"metadata/name": "1a"}),
        'metadata.name: Invalid value: "1a": a DNS-1035 label must consist of',
    ),
]


@pytest.mark.parametrize(("document", "problem"), REFUSED)
def test_refused(document: dict[str, Any], problem: str) -> None:
    found = problems(SERVICE, document)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "document",
    [
        service(),
        service(ports=[{"port": 53, "name": "a"}, {"port": 53, "name": "b", "protocol": "UDP"}]),
        service(ports=[{"port": 80, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"}]),
        service(clusterIP="None", ports=[]),
        service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1", "fd00::1"], ipFamilies=["IPv4", "IPv6"]),
        service(type="NodePort", ports=[{"port": 80, "nodePort": 32767}], externalTrafficPolicy="Local"),
        service(type="LoadBalancer", loadBalancerClass="a.b/c", loadBalancerSourceRanges=[" 10.0.0.0/8 "]),
        service(
            type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30001, externalIPs=["203.0.113.7"]
        ),
        service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 86400}}),
        service(trafficDistribution="PreferSameNode"),
        external_name(externalName="db.example.com."),
    ],
)
def test_accepted(document: dict[str, Any]) -> None:
    assert problems(SERVICE, document) == []


def changes(edits: dict[str, Any], **spec: Any) -> list[str]:
    old = stored(SERVICE, service(**spec))
    return changed_problems(SERVICE, edited(old, edits), old)


def test_addresses_stay() -> None:
    assert changes({"spec/clusterIP": "10.0.0.2"}, clusterIP="10.0.0.1") == [
        'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'
    ]
    assert changes({"spec/clusterIP": "10.0.0.1"}) == []
    assert changes({"spec/clusterIP": REMOVED, "spec/clusterIPs": REMOVED}, clusterIP="10.0.0.1") == []
    assert changes({"spec/ipFamilies": ["IPv6"]}, clusterIP="None") == []
    assert changes({"spec/ipFamilies": ["IPv6"]}) == [
        'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set'
    ]


def test_a_second_address_is_given_up_knowingly() -> None:
    both = {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilyPolicy": "PreferDualStack"}
    assert changes({"spec/clusterIPs": ["10.0.0.1"]}, **both) == [
        "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the "
        "secondary clusterIP"
    ]
    assert changes({"spec/clusterIPs": ["10.0.0.1"], "spec/ipFamilyPolicy": "SingleStack"}, **both) == []


def test_a_load_balancer_keeps_its_class_and_health_port() -> None:
    balanced: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001}
    assert changes({"spec/loadBalancerClass": "a.b/c"}, **balanced) == [
        'spec.loadBalancerClass: Invalid value: "a.b/c": may not change once set'
    ]
    assert changes({"spec/healthCheckNodePort": 30002}, **balanced) == [
        "spec.healthCheckNodePort: Forbidden: field is immutable"
    ]


def updated(edits: dict[str, Any], **spec: Any) -> dict[str, Any]:
    old = stored(SERVICE, service(**spec))
    new = edited(old, edits)
    SERVICE.default(new)
    SERVICE.prepare_update(new, old)
    assert not [*SERVICE.validate(new), *SERVICE.validate_update(new, old)]
    result: dict[str, Any] = new["spec"]
    return result


def test_a_new_type_drops_what_it_cannot_have() -> None:
    ports = [{"port": 80, "nodePort": 30000}]
    internal = updated({"spec/type": "ClusterIP"}, type="LoadBalancer", ports=ports, loadBalancerClass="a.b/c")
    dropped = {"allocateLoadBalancerNodePorts", "loadBalancerClass", "externalTrafficPolicy"}
    assert not internal.keys() & dropped
    assert "nodePort" not in internal["ports"][0]
    named = updated({"spec/type": "ExternalName", "spec/externalName": "a.b"}, clusterIP="10.0.0.1")
    assert not named.keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}


def test_a_port_keeps_its_node_port() -> None:
    spec = updated(
        {"spec/ports": [{"port": 80, "targetPort": 8080}]}, type="NodePort", ports=[{"port": 80, "nodePort": 30000}]
    )
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30000}]


@pytest.mark.parametrize(
    ("ingress", "problem"),
    [
        ({"ip": "10.0.0.1"}, None),
        ({"hostname": "a.example.com"}, None),
        ({"ip": "x"}, 'status.loadBalancer.ingress[0].ip: Invalid value: "x": must be a valid IP address'),
        ({"hostname": "A"}, 'status.loadBalancer.ingress[0].hostname: Invalid value: "A": a lowercase RFC 1123'),
        (
            {"hostname": "1.2.3.4"},
            'status.loadBalancer.ingress[0].hostname: Invalid value: "1.2.3.4": must be a DNS name',
        ),
        ({"ipMode": "VIP"}, "status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not"),
    ],
)
def test_status(ingress: dict[str, Any], problem: str | None) -> None:
    old = stored(SERVICE, service(type="LoadBalancer"))
    found = SERVICE.validate_status_update({**old, "status": {"loadBalancer": {"ingress": [ingress]}}}, old)
    assert [str(error).startswith(problem or "none") for error in found] == ([True] if problem else [])


def test_status_of_others_has_no_ingress() -> None:
    old = stored(SERVICE, service())
    found = SERVICE.validate_status_update({**old, "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}}}, old)
    assert [error.path for error in found] == ["status.loadBalancer.ingress"]


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        ({"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [PORT]}, {}, ("10.0.0.1", "<none>", "80/TCP")),
        (
            {"type": "NodePort", "clusterIPs": ["10.0.0.2"], "ports": [{**PORT, "nodePort": 30000, "protocol": "UDP"}]},
            {},
            ("10.0.0.2", "<none>", "80:30000/UDP"),
        ),
        ({"type": "ClusterIP", "externalIPs": ["1.1.1.1", "2.2.2.2"]}, {}, ("<none>", "1.1.1.1,2.2.2.2", "<none>")),
        ({"type": "LoadBalancer"}, {}, ("<none>", "<pending>", "<none>")),
        (
            {"type": "LoadBalancer"},
            {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "a.b"}]}},
            ("<none>", "1.1.1.1,a.b", "<none>"),
        ),
        ({"type": "ExternalName", "externalName": "a.b"}, {}, ("<none>", "a.b", "<none>")),
    ],
)
def test_columns(spec: dict[str, Any], status: dict[str, Any], cells: tuple[str, str, str]) -> None:
    row = {column.name: column.cell({"spec": spec, "status": status}, NOW) for column in SERVICE.columns}
    assert (row["Cluster-IP"], row["External-IP"], row["Port(s)"]) == cells
    assert row["Selector"] == "<none>"
