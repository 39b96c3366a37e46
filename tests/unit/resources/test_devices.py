"""Rules, defaults and columns of resource.k8s.io."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from moorage.resources.kind import Document
from tests.unit.resources.documents import NOW, edited, kind, plain, problems, stored, update_problems

GROUP = "resource.k8s.io"
CLASS, CLAIM = kind("DeviceClass", GROUP), kind("ResourceClaim", GROUP)
TEMPLATE, SLICE = kind("ResourceClaimTemplate", GROUP), kind("ResourceSlice", GROUP)
UID = "7b0c2f7e-2a5d-4a43-8d5c-0f6f5c6f3a10"


def cluster(name: str, **spec: Any) -> Document:
    return {"apiVersion": f"{GROUP}/v1", "kind": name, "metadata": {"name": "one"}, "spec": spec}


def selector(text: str) -> Document:
    return {"cel": {"expression": text}}


def opaque(**rest: Any) -> Document:
    return {"opaque": {"driver": "gpu.example.com", "parameters": {"a": 1}, **rest}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"selectors": [selector("true")], "config": [opaque()], "extendedResourceName": "example.com/gpu"}, ""),
        ({"selectors": [{}]}, "spec.selectors[0].cel: Required value"),
        ({"selectors": [selector("x" * 10241)]}, "spec.selectors[0].cel.expression: Too long"),
        ({"selectors": [selector("true")] * 33}, "spec.selectors: Too many: 33: must have at most 32 items"),
        ({"config": [{}]}, "spec.config[0].opaque: Required value"),
        ({"config": [opaque(driver="A_b")]}, "spec.config[0].opaque.driver: Invalid value"),
        ({"config": [opaque(parameters=[1])]}, "must be a valid JSON object"),
        ({"config": [opaque(parameters={"a": "x" * 10240})]}, "spec.config[0].opaque.parameters: Too long"),
        ({"extendedResourceName": "cpu"}, "must be a valid extended resource name"),
    ],
)
def test_classes(spec: dict[str, Any], words: str) -> None:
    found = " ".join(problems(CLASS, cluster("DeviceClass", **spec)))
    assert words in found
    assert bool(found) is bool(words)


EXACT: Document = {"name": "gpu", "exactly": {"deviceClassName": "gpus"}}
EITHER: Document = {
    "name": "any",
    "firstAvailable": [{"name": "big", "deviceClassName": "big"}, {"name": "small", "deviceClassName": "small"}],
}


def claim(**devices: Any) -> Document:
    return plain("ResourceClaim", GROUP, spec={"devices": devices})


def exact(**rest: Any) -> Document:
    return claim(requests=[{"name": "gpu", "exactly": {"deviceClassName": "gpus", **rest}}])


def test_requests_are_filled_in() -> None:
    made = stored(CLAIM, claim(requests=[edited(EXACT, {"exactly/tolerations": [{"key": "a"}]}), EITHER]))
    requests = made["spec"]["devices"]["requests"]
    assert requests[0]["exactly"] == {
        "deviceClassName": "gpus",
        "allocationMode": "ExactCount",
        "count": 1,
        "tolerations": [{"key": "a", "operator": "Equal"}],
    }
    assert [each["count"] for each in requests[1]["firstAvailable"]] == [1, 1]
    assert "count" not in stored(CLAIM, exact(allocationMode="All"))["spec"]["devices"]["requests"][0]["exactly"]
    template = stored(TEMPLATE, plain("ResourceClaimTemplate", GROUP, spec={"spec": exact()["spec"]}))
    assert template["spec"]["spec"]["devices"]["requests"][0]["exactly"]["count"] == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (claim(requests=[EXACT, EITHER]), ""),
        (claim(requests=[{"name": "x"}]), "exactly one of `exactly` or `firstAvailable` is required"),
        (claim(requests=[{**EXACT, **EITHER}]), "but multiple fields are set"),
        (claim(requests=[EXACT, EXACT]), 'spec.devices.requests[1]: Duplicate value: "gpu"'),
        (claim(requests=[edited(EXACT, {"name": "A"})]), "spec.devices.requests[0].name: Invalid value"),
        (claim(requests=[EXACT] * 33), "spec.devices.requests: Too many: 33"),
        (exact(deviceClassName=""), "spec.devices.requests[0].exactly.deviceClassName: Required value"),
        (exact(allocationMode="Some"), 'supported values: "All", "ExactCount"'),
        (exact(allocationMode="All", count=2), "must not be specified when allocationMode is 'All'"),
        (exact(count=-1), "must be greater than zero"),
        (exact(tolerations=[{"key": "a", "operator": "Is"}]), 'supported values: "Equal", "Exists"'),
        (exact(tolerations=[{"operator": "Exists", "value": "x"}]), "must be empty for operator `Exists`"),
        (exact(tolerations=[{"key": "a", "effect": "Never"}]), "tolerations[0].effect: Unsupported value"),
        (claim(requests=[EXACT], constraints=[{"matchAttribute": "gpu.example.com/numa"}]), ""),
        (claim(requests=[EXACT], constraints=[{}]), 'exactly one of "matchAttribute" or "distinctAttribute"'),
        (claim(constraints=[{"matchAttribute": "numa"}]), "must be a domain and a name separated by a slash"),
        (claim(constraints=[{"matchAttribute": "a/b/c"}]), "must not contain more than one slash"),
        (claim(constraints=[{"matchAttribute": "a.com/b-c"}]), "a valid C identifier must start with"),
        (claim(requests=[EITHER], config=[{**opaque(), "requests": ["any", "any/big"]}]), ""),
        (claim(requests=[EITHER], config=[{**opaque(), "requests": ["any/huge"]}]), "must be the name of a request"),
        (claim(requests=[EITHER], config=[{**opaque(), "requests": ["any/big/x"]}]), "must be the name of a request"),
        (claim(requests=[EXACT], config=[{**opaque(), "requests": ["gpu", "gpu"]}]), 'Duplicate value: "gpu"'),
    ],
)
def test_claims(document: Document, words: str) -> None:
    found = " ".join(problems(CLAIM, document))
    assert words in found
    assert bool(found) is bool(words)
    template = plain("ResourceClaimTemplate", GROUP, spec={"spec": document["spec"]})
    assert bool(problems(TEMPLATE, template)) is bool(words)


def test_what_is_asked_for_stays() -> None:
    assert "spec: Invalid value" in " ".join(update_problems(CLAIM, exact(count=2), exact()))
    before, after = (
        plain("ResourceClaimTemplate", GROUP, spec={"spec": exact(count=count)["spec"]}) for count in (1, 2)
    )
    assert "spec: Invalid value" in " ".join(update_problems(TEMPLATE, after, before))
    labelled = edited(before, {"spec/metadata": {"labels": {"a b": "c"}}})
    assert "spec.metadata.labels: Invalid value" in " ".join(problems(TEMPLATE, labelled))


RESULT: Document = {"request": "gpu", "driver": "gpu.example.com", "pool": "n1/a", "device": "gpu-0"}
STATE: Document = {"driver": "gpu.example.com", "pool": "n1/a", "device": "gpu-0"}
USER: Document = {"resource": "pods", "name": "p", "uid": UID}


def given(*results: Document, **rest: Any) -> Document:
    return {"allocation": {"devices": {"results": list(results), **rest}}}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (given(RESULT), ""),
        ({**given(RESULT), "reservedFor": [USER], "devices": [STATE]}, ""),
        ({"reservedFor": [USER]}, "may not be specified when `allocated` is not set"),
        ({**given(RESULT), "reservedFor": [USER, USER]}, "status.reservedFor[1]: Duplicate value"),
        ({**given(RESULT), "reservedFor": [{"uid": UID}]}, "status.reservedFor[0].resource: Required value"),
        (given({**RESULT, "request": "other"}), "must be the name of a request"),
        (given({**RESULT, "pool": "n1//a"}), "status.allocation.devices.results[0].pool: Invalid value"),
        (given({**RESULT, "pool": ""}), "results[0].pool: Required value"),
        (given({**RESULT, "device": "GPU"}), "results[0].device: Invalid value"),
        (given({**RESULT, "shareID": "7"}), "uid must be in RFC 4122 normalized form"),
        (given({**RESULT, "bindingConditions": ["a"]}), "bindingFailureConditions are required"),
        (given({**RESULT, "bindingFailureConditions": ["a"]}), "bindingConditions are required"),
        (given({**RESULT, "bindingConditions": ["a"], "bindingFailureConditions": ["a"]}), "must not overlap"),
        (given(RESULT, config=[{**opaque(), "source": "FromClass"}]), ""),
        (given(RESULT, config=[opaque()]), "config[0].source: Required value"),
        (given(RESULT, config=[{**opaque(), "source": "FromAir"}]), 'supported values: "FromClaim", "FromClass"'),
        ({"devices": [STATE]}, "must be an allocated device in the claim"),
        ({**given(RESULT), "devices": [{**STATE, "networkData": {"ips": ["10.1.2.3"]}}]}, "in CIDR form"),
        ({**given(RESULT), "devices": [{**STATE, "networkData": {"ips": ["10.1.2.3/24"]}}]}, ""),
        ({**given(RESULT), "devices": [{**STATE, "networkData": {"interfaceName": "x" * 257}}]}, "Too long"),
        ({**given(RESULT), "devices": [{**STATE, "data": {"a": "x" * 10240}}]}, "devices[0].data: Too long"),
    ],
)
def test_status(status: Document, words: str) -> None:
    old = stored(CLAIM, exact())
    found = " ".join(str(error) for error in CLAIM.validate_status_update({**old, "status": status}, old))
    assert words in found
    assert bool(found) is bool(words)


def test_an_allocation_stays_and_takes_what_was_said_of_its_devices_along() -> None:
    old = {**stored(CLAIM, exact()), "status": {**given(RESULT), "devices": [STATE]}}
    other = {**old, "status": given({**RESULT, "device": "gpu-1"})}
    assert "status.allocation: Invalid value" in str(CLAIM.validate_status_update(other, old)[0])
    freed = deepcopy(old)
    del freed["status"]["allocation"]
    CLAIM.prepare_status(freed, old, "2026-01-01T00:00:00Z")
    assert freed["status"] == {}
    going = edited(old, {"metadata/deletionTimestamp": "2026-01-01T00:00:00Z"})
    joined = edited(going, {"status/reservedFor": [USER]})
    assert "new entries may not be added" in str(CLAIM.validate_status_update(joined, going)[0])


def test_states_of_a_claim() -> None:
    column = CLAIM.columns[1]
    made = stored(CLAIM, exact())
    assert column.cell(made, NOW) == "pending"
    assert column.cell({**made, "status": given(RESULT)}, NOW) == "allocated"
    assert column.cell({**made, "status": {**given(RESULT), "reservedFor": [USER]}}, NOW) == "allocated,reserved"
    going = edited(made, {"metadata/deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert column.cell(going, NOW) == "deleted"


def piece(*devices: Document, **spec: Any) -> Document:
    pool = {"name": "n1", "resourceSliceCount": 1, "generation": 1}
    usual = {"driver": "gpu.example.com", "pool": pool, "nodeName": "n1", "devices": list(devices)}
    return cluster("ResourceSlice", **{**usual, **spec})


def device(**rest: Any) -> Document:
    return {"name": "gpu-0", **rest}


def shared(**policy: Any) -> Document:
    return device(allowMultipleAllocations=True, capacity={"memory": {"value": "8Gi", "requestPolicy": policy}})


SPAN = {"min": "1Gi", "max": "4Gi", "step": "1Gi"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (piece(device(attributes={"a": {"int": 1}, "b.com/c": {"version": "1.2.3-x+y"}})), ""),
        (piece(nodeName=None), "spec: Required value: exactly one of `nodeName`"),
        (piece(allNodes=True), "but multiple fields are set"),
        (
            piece(nodeName=None, allNodes=False),
            "spec.allNodes: Invalid value: false: must be either unset or set to true",
        ),
        (piece(nodeName=""), "must be either unset or set to a non-empty string"),
        (piece(pool={"name": "n1", "resourceSliceCount": 0, "generation": -1}), "must be greater than zero"),
        (piece(device(), device()), 'spec.devices[1]: Duplicate value: "gpu-0"'),
        (piece(*(device(name=f"d{n}") for n in range(129))), "spec.devices: Too many: 129: must have at most 128"),
        (piece(*(device(name=f"d{n}", taints=[{"key": "a", "effect": "None"}]) for n in range(65))), "at most 64"),
        (piece(device(attributes={"a": {}})), "exactly one value must be specified"),
        (piece(device(attributes={"a": {"int": 1, "bool": True}})), "exactly one value must be specified"),
        (piece(device(attributes={"a": {"version": "1.2"}})), "compatible with semver.org spec 2.0.0"),
        (piece(device(attributes={"a": {"string": "x" * 65}})), "Too long"),
        (piece(device(attributes={"a-b": {"int": 1}})), "a valid C identifier"),
        (piece(device(attributes={f"a{n}": {"int": 1} for n in range(33)})), "must not exceed 32"),
        (piece(device(taints=[{"key": "a"}])), "taints[0].effect: Required value"),
        (piece(device(taints=[{"key": "a", "effect": "Never"}])), "taints[0].effect: Unsupported value"),
        (piece(device(nodeName="n1")), "can only be set if `perDeviceNodeSelection` is set"),
        (piece(device(allNodes=True), nodeName=None, perDeviceNodeSelection=True), ""),
        (piece(device(), nodeName=None, perDeviceNodeSelection=True), "is required when `perDeviceNodeSelection`"),
        (piece(device(consumesCounters=[{"counterSet": "s"}])), "consumesCounters[0].counters: Required value"),
        (piece(sharedCounters=[{"name": "s", "counters": {"m": {"value": "1"}}}]), ""),
        (piece(sharedCounters=[{"counters": {"M": {"value": "1"}}}]), "sharedCounters[0].name: Required value"),
        (piece(shared(default="1Gi", validRange=SPAN)), ""),
        (piece(shared(default="1Gi", validValues=["1Gi", "2Gi"])), ""),
        (piece(shared(validValues=["1Gi"])), "required when validValues is defined"),
        (piece(shared(default="3Gi", validValues=["2Gi", "1Gi"])), "values must be sorted in ascending order"),
        (piece(shared(default="16Gi", validValues=["16Gi"])), "option is larger than capacity value: 8Gi"),
        (piece(shared(default="1Gi", validValues=["1Gi", "1024Mi"])), "Duplicate value"),
        (piece(shared(default="1Gi", validValues=["1Gi"], validRange=SPAN)), "exactly one policy can be specified"),
        (piece(shared(default="1500Mi", validRange=SPAN)), "value is not a multiple of a given step"),
        (piece(shared(default="9Gi", validRange={"min": "9Gi"})), "min is larger than capacity value: 8Gi"),
        (piece(shared(default="1Gi", validRange={"max": "2Gi"})), "validRange.min: Required value"),
        (piece(shared(default="5Gi", validRange=SPAN)), "default is more than max: 4Gi"),
        (
            piece(device(capacity={"memory": {"value": "8Gi", "requestPolicy": {"default": "1Gi"}}})),
            "allowMultipleAllocations must be true",
        ),
    ],
)
def test_slices(document: Document, words: str) -> None:
    found = " ".join(problems(SLICE, document))
    assert words in found
    assert bool(found) is bool(words)


def test_a_slice_stays_where_it_is() -> None:
    assert not update_problems(SLICE, piece(device(name="gpu-1")), piece(device()))
    for change in ({"nodeName": "n2"}, {"driver": "x.example.com"}):
        assert "field is immutable" in " ".join(update_problems(SLICE, piece(**change), piece()))
    made = stored(SLICE, piece())
    assert SLICE.fields(made) == {"spec.driver": "gpu.example.com", "spec.nodeName": "n1"}
    assert [column.cell(made, NOW) for column in SLICE.columns[1:4]] == ["n1", "gpu.example.com", "n1"]


def test_a_taint_is_dated() -> None:
    tainted = edited(
        piece(device(taints=[{"key": "a", "effect": "NoSchedule"}])),
        {"metadata/creationTimestamp": "2026-01-01T00:00:00Z"},
    )
    assert stored(SLICE, tainted)["spec"]["devices"][0]["taints"][0]["timeAdded"] == "2026-01-01T00:00:00Z"
