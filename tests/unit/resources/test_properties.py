"""Defaulting is idempotent, and what is sound stays sound once it is defaulted and stored."""

from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.resources import schemas
from moorage.resources.kind import Document, Kind
from tests.unit.resources.documents import kind, plain, stored

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
PORTS = st.integers(1, 65535)
AMOUNTS = st.sampled_from(["0", "1", "100m", "1500m", "64Mi", "1Gi", "0.5", "1e3", "128974848", 2, 0.25])


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


PROBES = st.one_of(
    st.builds(lambda port: {"tcpSocket": {"port": port}}, PORTS),
    st.builds(lambda port: {"httpGet": {"port": port}}, st.one_of(PORTS, st.just("http"))),
    st.just({"exec": {"command": ["true"]}, "periodSeconds": 3}),
)
ENV = st.one_of(
    st.just({"name": "A", "value": "1"}),
    st.just({"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
    st.just({"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}),
    st.just({"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
)


@st.composite
def containers(draw: st.DrawFn, prefix: str) -> list[Document]:
    found = []
    for index in range(draw(st.integers(1, 3))):
        limits = draw(optional(cpu=AMOUNTS, memory=AMOUNTS))
        extra = draw(
            optional(
                env=st.lists(ENV, max_size=3),
                ports=st.lists(PORTS, unique=True, max_size=3).map(lambda ports: [{"containerPort": p} for p in ports]),
                imagePullPolicy=st.sampled_from(["", "Always", "Never"]),
                resources=st.just({"limits": limits} if limits else {}),
                command=st.lists(st.text(max_size=3), max_size=2),
                args=st.none(),
            )
        )
        found.append(
            {"name": f"{prefix}{index}", "image": draw(st.sampled_from(["a", "a:1", "h:5/a@sha256:0"])), **extra}
        )
    return found


@st.composite
def pod_specs(draw: st.DrawFn) -> Document:
    spec: Document = {"containers": draw(containers("c"))}
    for container in spec["containers"]:
        container.update(draw(optional(livenessProbe=PROBES, readinessProbe=PROBES)))
    if draw(st.booleans()):
        spec["initContainers"] = draw(containers("i"))
    return spec | draw(
        optional(
            volumes=st.just([{"name": "v"}, {"name": "w", "configMap": {"name": "c"}}]),
            tolerations=st.just([{"key": "a", "operator": "Exists", "effect": "NoExecute"}]),
            nodeSelector=st.just({"a": "b"}),
            securityContext=st.sampled_from([{}, {"runAsUser": 5}]),
            hostNetwork=st.just(False),
            serviceAccount=st.just("robot"),
        )
    )


PODS = pod_specs().map(lambda spec: plain("Pod", spec=spec))
WORKLOADS = st.builds(
    lambda spec, rest: plain(
        "Deployment",
        "apps",
        spec={
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec},
            **rest,
        },
    ),
    pod_specs(),
    optional(replicas=st.integers(0, 9), minReadySeconds=st.integers(0, 9), paused=st.booleans()),
)
SERVICES = st.builds(
    lambda spec, ports: plain("Service", spec={"ports": [{"port": p, "name": f"p{p}"} for p in ports], **spec}),
    optional(
        type=st.sampled_from(["", "ClusterIP", "NodePort", "LoadBalancer"]),
        sessionAffinity=st.sampled_from(["", "None", "ClientIP"]),
        selector=st.just({"a": "b"}),
    ),
    st.lists(PORTS, unique=True, min_size=1, max_size=3),
)
SECRETS = st.builds(
    lambda rest: plain("Secret", **rest),
    optional(data=st.just({"a": "YQ=="}), stringData=st.dictionaries(NAMES, st.text(max_size=5), max_size=3)),
)

DRIVERS = st.builds(
    lambda spec: {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "one"}, "spec": spec},
    optional(
        attachRequired=st.booleans(),
        fsGroupPolicy=st.sampled_from(["None", "File"]),
        volumeLifecycleModes=st.sampled_from([[], ["Ephemeral"], ["Ephemeral", "Persistent"]]),
        tokenRequests=st.just([{"audience": "a", "expirationSeconds": 600}]),
    ),
)
DEVICES = st.builds(
    lambda how, names: plain(
        "ResourceClaim",
        "resource.k8s.io",
        spec={"devices": {"requests": [{"name": each, "exactly": {"deviceClassName": "c", **how}} for each in names]}},
    ),
    st.one_of(
        st.just({"allocationMode": "All"}),
        optional(count=st.integers(1, 9), tolerations=st.just([{"key": "a"}, {"operator": "Exists"}])),
    ),
    st.lists(NAMES, unique=True, max_size=3),
)

CASES: st.SearchStrategy[tuple[Kind, Document]] = st.one_of(
    st.tuples(st.just(kind("Pod")), PODS),
    st.tuples(st.just(kind("Deployment", "apps")), WORKLOADS),
    st.tuples(st.just(kind("Service")), SERVICES),
    st.tuples(st.just(kind("Secret")), SECRETS),
    st.tuples(st.just(kind("CSIDriver", "storage.k8s.io")), DRIVERS),
    st.tuples(st.just(kind("ResourceClaim", "resource.k8s.io")), DEVICES),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CASES)
def test_defaulting_is_idempotent_and_keeps_what_is_sound(case: tuple[Kind, Document]) -> None:
    of, document = case
    once = stored(of, document)
    assert not of.validate(once)
    twice = deepcopy(once)
    of.default(twice)
    assert twice == once
    found = schemas.normalise(of, twice)
    assert not found.errors
    assert not found.unknown
    assert twice == once


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(CASES)
def test_an_update_that_changes_nothing_is_allowed(case: tuple[Kind, Document]) -> None:
    of, document = case
    once = stored(of, document)
    again = deepcopy(once)
    of.default(again)
    of.prepare_update(again, once)
    assert again == once
    assert not of.validate_update(again, once)
