"""Rules, defaults and columns of what CSI drivers say, and of attachments."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Document
from tests.unit.resources.documents import NOW, edited, kind, plain, problems, stored, update_problems

GROUP = "storage.k8s.io"
DRIVER, NODE = kind("CSIDriver", GROUP), kind("CSINode", GROUP)
CAPACITY, ATTACHMENT = kind("CSIStorageCapacity", GROUP), kind("VolumeAttachment", GROUP)


def cluster(name: str, **rest: Any) -> Document:
    return {"apiVersion": f"{GROUP}/v1", "kind": name, "metadata": {"name": "one.example.com"}, **rest}


def driver(**spec: Any) -> Document:
    return cluster("CSIDriver", spec=spec)


def node(*drivers: Document) -> Document:
    return cluster("CSINode", spec={"drivers": list(drivers)})


def attachment(**spec: Any) -> Document:
    usual = {"attacher": "one.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "pv"}}
    return cluster("VolumeAttachment", spec={**usual, **spec})


def test_a_driver_is_filled_in() -> None:
    made = stored(DRIVER, driver())
    assert made["spec"] == {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "requiresRepublish": False,
        "seLinuxMount": False,
        "volumeLifecycleModes": ["Persistent"],
    }
    assert [column.cell(made, NOW) for column in DRIVER.columns[1:7]] == [
        True,
        False,
        False,
        "<unset>",
        False,
        "Persistent",
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"fsGroupPolicy": "Some"}, 'supported values: "File", "None", "ReadWriteOnceWithFSType"'),
        ({"volumeLifecycleModes": ["Often"]}, "spec.volumeLifecycleModes: Unsupported value"),
        ({"nodeAllocatableUpdatePeriodSeconds": 9}, "must be greater than or equal to 10 seconds"),
        ({"tokenRequests": [{"audience": "a"}, {"audience": "a"}]}, 'tokenRequests[1].audience: Duplicate value: "a"'),
        ({"tokenRequests": [{"audience": "a", "expirationSeconds": 599}]}, "a duration less than 10 minutes"),
        ({"tokenRequests": [{"audience": "a", "expirationSeconds": 2**32 + 1}]}, "larger than 2^32 seconds"),
    ],
)
def test_drivers(spec: dict[str, Any], words: str) -> None:
    found = " ".join(problems(DRIVER, driver(**spec)))
    assert words in found
    assert bool(found) is bool(words)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ({"requiresRepublish": True, "tokenRequests": [{"audience": "x"}]}, ""),
        ({"attachRequired": False}, "spec.attachedRequired: Invalid value: false: field is immutable"),
        ({"volumeLifecycleModes": ["Ephemeral"]}, "spec.volumeLifecycleModes: Invalid value"),
    ],
)
def test_what_may_change_of_a_driver(new: dict[str, Any], words: str) -> None:
    found = " ".join(update_problems(DRIVER, driver(**new), driver()))
    assert words in found
    assert bool(found) is bool(words)


ENTRY = {"name": "one.example.com", "nodeID": "n1", "topologyKeys": ["example.com/zone"], "allocatable": {"count": 4}}


@pytest.mark.parametrize(
    ("drivers", "words"),
    [
        ([ENTRY], ""),
        ([ENTRY, ENTRY], 'spec.drivers[1].name: Duplicate value: "one.example.com"'),
        ([{**ENTRY, "nodeID": ""}], "spec.drivers[0].nodeID: Required value"),
        ([{**ENTRY, "nodeID": "n" * 257}], "must be 256 characters or less"),
        ([{**ENTRY, "allocatable": {"count": -1}}], "must be greater than or equal to 0"),
        ([{**ENTRY, "topologyKeys": ["a", "a"]}], 'spec.drivers[0]: Duplicate value: "a"'),
        ([{**ENTRY, "topologyKeys": ["a b"]}], "spec.drivers[0]: Invalid value"),
        ([{**ENTRY, "name": "a_b"}], "spec.drivers[0].name: Invalid value"),
    ],
)
def test_nodes(drivers: list[Document], words: str) -> None:
    found = " ".join(problems(NODE, node(*drivers)))
    assert words in found
    assert bool(found) is bool(words)


def test_only_the_count_of_a_nodes_driver_changes() -> None:
    assert not update_problems(NODE, node({**ENTRY, "allocatable": {"count": 9}}), node(ENTRY))
    assert not update_problems(NODE, node(), node(ENTRY))
    assert "field is immutable" in " ".join(update_problems(NODE, node({**ENTRY, "nodeID": "n2"}), node(ENTRY)))


def capacity(**rest: Any) -> Document:
    return plain("CSIStorageCapacity", GROUP, **{"storageClassName": "fast", **rest})


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"capacity": "1Gi", "nodeTopology": {"matchLabels": {"a": "b"}}}, ""),
        ({"capacity": "-1Gi"}, "must be greater than or equal to 0"),
        ({"storageClassName": "a_b"}, "storageClassName: Invalid value"),
        ({"storageClassName": ""}, "storageClassName: Invalid value"),
        (
            {"nodeTopology": {"matchExpressions": [{"key": "a", "operator": "Is"}]}},
            "not a valid selector operator",
        ),
    ],
)
def test_capacities(rest: dict[str, Any], words: str) -> None:
    found = " ".join(problems(CAPACITY, capacity(**rest)))
    assert words in found
    assert bool(found) is bool(words)


def test_a_capacity_stays_with_its_class() -> None:
    assert not update_problems(CAPACITY, capacity(capacity="2Gi"), capacity(capacity="1Gi"))
    assert "storageClassName" in " ".join(update_problems(CAPACITY, capacity(storageClassName="slow"), capacity()))
    assert [column.cell(stored(CAPACITY, capacity()), NOW) for column in CAPACITY.columns[1:]] == ["fast", "<unset>"]


INLINE = {"accessModes": ["ReadWriteOnce"], "csi": {"driver": "one.example.com", "volumeHandle": "h"}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"source": {"inlineVolumeSpec": INLINE}}, ""),
        ({"source": {}}, "spec.source: Required value: must specify exactly one of"),
        ({"source": {"persistentVolumeName": "pv", "inlineVolumeSpec": INLINE}}, "spec.source: Forbidden"),
        ({"source": {"persistentVolumeName": ""}}, "must specify non empty persistentVolumeName"),
        ({"source": {"persistentVolumeName": "a_b"}}, "spec.source.persistentVolumeName: Invalid value"),
        ({"source": {"inlineVolumeSpec": {**INLINE, "storageClassName": "x"}}}, "in the context of inline volumes"),
        ({"source": {"inlineVolumeSpec": {"accessModes": ["ReadWriteOnce"]}}}, "has to be specified in the context"),
        ({"attacher": ""}, "spec.attacher: Required value"),
        ({"nodeName": "A B"}, "spec.nodeName: Invalid value"),
    ],
)
def test_attachments(spec: dict[str, Any], words: str) -> None:
    found = " ".join(problems(ATTACHMENT, attachment(**spec)))
    assert words in found
    assert bool(found) is bool(words)


def test_an_attachment_is_made_unattached_and_stays_what_it_is() -> None:
    made = stored(ATTACHMENT, {**attachment(), "status": {"attached": True}})
    assert made["status"] == {"attached": False}
    assert [column.cell(made, NOW) for column in ATTACHMENT.columns[1:5]] == ["one.example.com", "pv", "n1", False]
    assert "spec: Invalid value" in " ".join(update_problems(ATTACHMENT, attachment(nodeName="n2"), attachment()))
    told = edited(made, {"status": {"attached": False, "attachError": {"message": "x" * 1025, "errorCode": -1}}})
    found = " ".join(str(error) for error in ATTACHMENT.validate_status_update(told, made))
    assert "status.attachError.message: Too long" in found
    assert "status.attachError.errorCode: Invalid value" in found
