"""Decoding: type errors, unknown fields, stored form. The fast check and the walk must agree."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.resources import schemas
from moorage.resources.schemas.compiled import At, Findings
from moorage.resources.schemas.decoding import _check, _compiler
from tests.unit.resources.documents import edited, kind, plain, pod, workload

POD, SECRET, DEPLOYMENT, LEASE = (
    kind("Pod"),
    kind("Secret"),
    kind("Deployment", "apps"),
    kind("Lease", "coordination.k8s.io"),
)
CONTAINER = "spec/containers/0"
PORT = "ContainerPort.spec.containers.ports.containerPort"
SOCKET = "TCPSocketAction.spec.containers.livenessProbe.tcpSocket.port"


@pytest.mark.parametrize(
    ("edits", "given", "field", "wanted"),
    [
        ({f"{CONTAINER}/image": 5}, "number", "Container.spec.containers.image", "string"),
        ({f"{CONTAINER}/env": [{"name": "A", "value": 1}]}, "number", "EnvVar.spec.containers.env.value", "string"),
        ({f"{CONTAINER}/ports": [{"containerPort": "80"}]}, "string", PORT, "int32"),
        ({f"{CONTAINER}/ports": [{"containerPort": 2**31}]}, "number 2147483648", PORT, "int32"),
        ({f"{CONTAINER}/ports": [{"containerPort": 80.0}]}, "number 80.0", PORT, "int32"),
        (
            {f"{CONTAINER}/ports": [{"protocol": 6}]},
            "number",
            "ContainerPort.spec.containers.ports.protocol",
            "v1.Protocol",
        ),
        ({f"{CONTAINER}/tty": "yes"}, "string", "Container.spec.containers.tty", "bool"),
        ({f"{CONTAINER}/tty": 1}, "number", "Container.spec.containers.tty", "bool"),
        ({f"{CONTAINER}/args": "x"}, "string", "Container.spec.containers.args", "[]string"),
        ({"spec/containers": {}}, "object", "PodSpec.spec.containers", "[]v1.Container"),
        ({"spec/securityContext": []}, "array", "PodSpec.spec.securityContext", "v1.PodSecurityContext"),
        ({"spec": "x"}, "string", "Pod.spec", "v1.PodSpec"),
        ({"metadata/labels": {"a": True}}, "bool", "ObjectMeta.metadata.labels", "string"),
        ({"metadata/labels": ["a"]}, "array", "ObjectMeta.metadata.labels", "map[string]string"),
        ({"metadata/deletionTimestamp": 5}, "number", "ObjectMeta.metadata.deletionTimestamp", "v1.Time"),
        (
            {f"{CONTAINER}/resources": {"limits": {"cpu": True}}},
            "bool",
            "ResourceRequirements.spec.containers.resources.limits",
            "resource.Quantity",
        ),
        ({f"{CONTAINER}/livenessProbe": {"tcpSocket": {"port": 1.5}}}, "number 1.5", SOCKET, "int32"),
        ({f"{CONTAINER}/livenessProbe": {"tcpSocket": {"port": True}}}, "bool", SOCKET, "int32"),
        ({"spec/activeDeadlineSeconds": 2**63}, f"number {2**63}", "PodSpec.spec.activeDeadlineSeconds", "int64"),
    ],
)
def test_wrong_types_of_a_pod(edits: dict[str, Any], given: str, field: str, wanted: str) -> None:
    document = edited(pod(), edits)
    before = deepcopy(document)
    problem = f"json: cannot unmarshal {given} into Go struct field {field} of type {wanted}"
    assert schemas.type_errors(POD, document) == [problem]
    assert document == before


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        (
            {"metadata/deletionTimestamp": "soon"},
            'metadata.deletionTimestamp: parsing time "soon" as "2006-01-02T15:04:05Z07:00": '
            'cannot parse "soon" as "2006": "soon"',
        ),
        (
            {f"{CONTAINER}/resources": {"limits": {"cpu": "abc"}}},
            "spec.containers[0].resources.limits.cpu: quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$': \"abc\"",
        ),
    ],
)
def test_texts_without_their_meaning(edits: dict[str, Any], problem: str) -> None:
    assert schemas.type_errors(POD, edited(pod(), edits)) == [problem]


def test_the_message_names_the_kind() -> None:
    error = schemas.type_errors(DEPLOYMENT, edited(workload("Deployment"), {"spec/replicas": "3"}))[0]
    assert schemas.cannot_be_handled(DEPLOYMENT, error) == (
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field '
        "DeploymentSpec.spec.replicas of type int32"
    )


def test_int_or_string_and_numbers_as_quantities_are_fine() -> None:
    document = edited(
        pod(),
        {
            f"{CONTAINER}/resources": {"limits": {"cpu": 2, "memory": 0.5}},
            f"{CONTAINER}/livenessProbe": {"tcpSocket": {"port": 80}},
            f"{CONTAINER}/readinessProbe": {"tcpSocket": {"port": "http"}},
        },
    )
    assert not schemas.type_errors(POD, document)
    schemas.prune(POD, document)
    assert document["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "2", "memory": "500m"}}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("x!", "data.k: illegal base64 data at input byte 1"),
        ("abc", "data.k: illegal base64 data at input byte 0"),
        ("YWJj=", "data.k: illegal base64 data at input byte 4"),
        (5, "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
    ],
)
def test_data_of_a_secret_is_base64(data: Any, problem: str) -> None:
    assert schemas.type_errors(SECRET, plain("Secret", data={"k": data})) == [problem]


def test_line_breaks_in_base64_go() -> None:
    secret = plain("Secret", data={"k": "YWJj\nZGVm\r\n"})
    assert not schemas.type_errors(SECRET, secret)
    schemas.prune(SECRET, secret)
    assert secret["data"] == {"k": "YWJjZGVm"}


@pytest.mark.parametrize(
    "edits",
    [
        {"immutable": 17171717},
        {"data/canary17171717": ["canary17171717"]},
        {"stringData": {"k": 17171717}},
        {"metadata/creationTimestamp": "canary17171717"},
        {"metadata/generation": 17171717.5},
    ],
)
def test_no_value_of_a_sealed_kind_is_shown(edits: dict[str, Any]) -> None:
    found = schemas.type_errors(SECRET, edited(plain("Secret"), edits))
    assert found
    assert not any("17171717" in error.replace("data.canary17171717", "") for error in found)


def test_unknown_fields_are_named_and_dropped() -> None:
    document = edited(pod(), {f"{CONTAINER}/foo": 1, "spec/bar": {"a": 1}, "baz": None})
    assert schemas.unknown_fields(POD, document) == ["spec.containers[0].foo", "spec.bar", "baz"]
    assert document["spec"]["bar"] == {"a": 1}
    schemas.prune(POD, document)
    assert document == pod()


def test_nulls_and_empty_lists_and_maps_go_but_empty_structs_stay() -> None:
    document = edited(
        pod(),
        {
            "metadata/creationTimestamp": None,
            "metadata/annotations": {},
            "metadata/labels": {"a": None},
            "spec/volumes": [{"name": "v", "emptyDir": {}}],
            "spec/imagePullSecrets": [],
            "spec/securityContext": {},
            f"{CONTAINER}/args": [None],
            f"{CONTAINER}/resources": {"limits": {"cpu": None}},
        },
    )
    schemas.prune(POD, document)
    assert document["metadata"] == {"name": "web", "namespace": "shop", "labels": {"a": ""}}
    assert document["spec"] == {
        "containers": [{"name": "main", "image": "nginx:1.27", "args": [""], "resources": {"limits": {"cpu": "0"}}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "securityContext": {},
    }


def test_times_are_brought_into_canonical_form() -> None:
    lease = plain("Lease", "coordination.k8s.io", spec={"renewTime": "2026-01-01T02:00:00.5+01:00"})
    lease["metadata"]["creationTimestamp"] = "2026-01-01T01:00:00.9+01:00"
    schemas.prune(LEASE, lease)
    assert lease["spec"]["renewTime"] == "2026-01-01T01:00:00.500000Z"
    assert lease["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


def test_free_form_parts_are_kept_as_they_are() -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "x": None, "y": []}
    entry = {"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}
    document = edited(pod(), {"metadata/managedFields": [entry], "spec/bar": 1})
    schemas.prune(POD, document)
    assert document["metadata"]["managedFields"][0]["fieldsV1"] == fields


def test_everything_is_found_in_one_go() -> None:
    found = schemas.normalise(POD, edited(pod(), {"spec/bar": 1, "spec/nodeName": 5, f"{CONTAINER}/tty": "x"}))
    assert len(found.errors) == 2
    assert found.unknown == ["spec.bar"]


def test_custom_definitions_can_come_and_change() -> None:
    name = "io.example.v1.Widget"
    widget = kind("ConfigMap").__class__(**{**kind("ConfigMap").__dict__, "schema": name, "kind": "Widget"})
    size: dict[str, Any] = {"type": "object", "properties": {"size": {"type": "integer", "format": "int32"}}}
    schemas.add_definition(name, size)
    assert not schemas.type_errors(widget, {"size": 5})
    assert schemas.type_errors(widget, {"size": "x"})
    schemas.add_definition(name, {"type": "object", "properties": {"size": {"type": "string"}}})
    assert not schemas.type_errors(widget, {"size": "x"})


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "1Gi", "1000m", "2026-01-01T00:00:00Z", "2026-02-31T00:00:00Z"]),
    st.just([]),
    st.just({}),
    st.just(["a"]),
    st.just({"a": "b"}),
)
_PLACES = st.sampled_from(
    [
        "metadata/labels",
        "metadata/creationTimestamp",
        "metadata/generation",
        "metadata/ownerReferences",
        "spec/nodeName",
        "spec/hostNetwork",
        "spec/terminationGracePeriodSeconds",
        "spec/overhead",
        "spec/nodeSelector",
        "spec/securityContext",
        "spec/tolerations",
        "spec/containers",
        f"{CONTAINER}/args",
        f"{CONTAINER}/resources/limits/memory",
        f"{CONTAINER}/livenessProbe/httpGet/port",
        f"{CONTAINER}/ports",
        "status/startTime",
        "nonsense",
    ]
)


@given(_PLACES, _VALUES)
def test_what_the_fast_check_accepts_the_walk_leaves_alone(place: str, value: Any) -> None:
    document = edited(pod(), {place: value})
    walked = deepcopy(document)
    found = Findings()
    _compiler().walker(POD.schema).walk(walked, At(), found)
    if _check(POD.schema)(document):
        assert walked == document
        assert not found.errors
        assert not found.unknown
    elif not found.errors:
        again = Findings()
        assert _compiler().walker(POD.schema).walk(deepcopy(walked), At(), again) == walked
        assert not again.errors
        assert not again.unknown


def test_a_reference_is_followed_by_what_it_says_and_not_by_where_it_lies_in_memory() -> None:
    """A short-lived node may lie where another one lay before."""
    for name in ("Secret", "Pod", "ConfigMap") * 50:
        node = {"$ref": f"#/$defs/io.k8s.api.core.v1.{name}", "description": "own"}
        resolved = schemas.resolve(node)
        assert resolved["properties"].keys() == schemas.definition(f"io.k8s.api.core.v1.{name}")["properties"].keys()
        assert resolved["description"] == "own"
        del node
