"""Rules, defaults and columns of quotas, limit ranges, priority, runtime and storage classes, volumes and claims."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources.kind import Document
from moorage.resources.quota_amounts import amount, limit, shown
from tests.unit.resources.documents import NOW, edited, kind, plain, problems, stored, update_problems

QUOTA, RANGE, CONTROLLER = kind("ResourceQuota"), kind("LimitRange"), kind("ReplicationController")
VOLUME, CLAIM = kind("PersistentVolume"), kind("PersistentVolumeClaim")
PRIORITY, RUNTIME = kind("PriorityClass", "scheduling.k8s.io"), kind("RuntimeClass", "node.k8s.io")
STORAGE = kind("StorageClass", "storage.k8s.io")


def cluster(name: str, api: str = "v1", **rest: Any) -> Document:
    return {"apiVersion": api, "kind": name, "metadata": {"name": "one"}, **rest}


def quota(**spec: Any) -> Document:
    return plain("ResourceQuota", spec=spec)


def selecting(**expression: Any) -> Document:
    return {"matchExpressions": [expression]}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hard": {"cpu": "1", "count/jobs.batch": "3", "requests.example.com/gpu": "2", "hugepages-2Mi": "1Gi"}}, []),
        ({"hard": {"gold.storageclass.storage.k8s.io/requests.storage": "1Gi"}}, []),
        ({"hard": {"storage": "1"}}, ["spec.hard[storage]", "must be a standard resource for quota"]),
        ({"hard": {"apples": "1"}}, ["must be a standard resource type or fully qualified"]),
        ({"hard": {"pods": "-1"}}, ["must be greater than or equal to 0"]),
        ({"hard": {"pods": "1500m"}}, ["must be an integer"]),
        ({"hard": {"pods": "1"}, "scopes": ["Nowhere"]}, ["unsupported scope"]),
        ({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}, ["unsupported scope applied to resource"]),
        ({"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]}, ["conflicting scopes"]),
        ({"hard": {"requests.storage": "1"}, "scopeSelector": selecting(
            scopeName="VolumeAttributesClass", operator="In", values=["x"])}, []),
        ({"hard": {"pods": "1"}, "scopeSelector": selecting(scopeName="PriorityClass", operator="In")},
         ["scopeSelector.matchExpressions.values: Required value"]),
        ({"hard": {"pods": "1"}, "scopeSelector": selecting(scopeName="BestEffort", operator="In", values=["x"])},
         ["must be 'Exist' only operator"]),
        ({"hard": {"pods": "1"}, "scopeSelector": selecting(scopeName="PriorityClass", operator="Exists", values=["x"])},
         ["must be no value when `operator` is 'Exist' or 'DoesNotExist'"]),
        ({"hard": {"pods": "1"}, "scopeSelector": selecting(scopeName="PriorityClass", operator="Is")},
         ["not a valid selector operator"]),
    ],
)  # fmt: skip
def test_quotas(spec: dict[str, Any], words: list[str]) -> None:
    text = " ".join(problems(QUOTA, quota(**spec)))
    assert all(word in text for word in words)
    assert bool(text) is bool(words)


def test_the_scopes_of_a_quota_stay() -> None:
    old = quota(hard={"pods": "1"}, scopes=["BestEffort"])
    assert update_problems(QUOTA, quota(hard={"pods": "2"}, scopes=["BestEffort"]), old) == []
    assert "spec.scopes" in update_problems(QUOTA, quota(hard={"pods": "1"}), old)[0]


def test_what_is_limited_no_longer_is_not_shown() -> None:
    old = stored(QUOTA, quota(hard={"pods": "1", "secrets": "2"}))
    old["status"] = {"hard": {"pods": "1", "secrets": "2"}, "used": {"pods": "0", "secrets": "1"}}
    new = edited(old, {"spec/hard": {"pods": "1"}})
    QUOTA.prepare_update(new, old)
    assert new["status"] == {"hard": {"pods": "1"}, "used": {"pods": "0"}}
    assert old["status"]["hard"] == {"pods": "1", "secrets": "2"}


def test_a_quota_in_a_table() -> None:
    status = {"hard": {"pods": "2", "limits.cpu": "4", "cpu": "1"}, "used": {"pods": "1", "limits.cpu": "500m"}}
    row = {column.name: column.cell({**quota(), "status": status}, NOW) for column in QUOTA.columns}
    assert (row["Request"], row["Limit"]) == ("cpu: 0/1, pods: 1/2", "limits.cpu: 500m/4")


@pytest.mark.parametrize(
    ("name", "text", "hard", "used"),
    [
        ("cpu", "1500m", 1500, 1500),
        ("limits.cpu", "0.0001", 0, 1),
        ("memory", "1Gi", 1024**3, 1024**3),
        ("memory", "1500m", 1, 2),
        ("pods", "9E", 9 * 10**18, 2**53),
        ("requests.cpu", "9E", 2**63 - 1, 2**53),
    ],
)
def test_limits_are_rounded_down_and_use_is_rounded_up(name: str, text: str, hard: int, used: int) -> None:
    assert (limit(name, text), amount(name, text)) == (hard, used)


@pytest.mark.parametrize(
    ("name", "value", "like", "text"),
    [
        ("cpu", 1500, "", "1500m"),
        ("requests.memory", 64 * 1024**2, "", "64Mi"),
        ("requests.memory", 100_000_000, "", "100M"),
        ("requests.memory", 1024**3, "2G", "1073741824"),
        ("pods", 1024, "", "1024"),
        ("gold.storageclass.storage.k8s.io/requests.storage", 1024**3, "", "1Gi"),
        ("memory", 0, "1Gi", "0"),
    ],
)
def test_amounts_in_words(name: str, value: int, like: str, text: str) -> None:
    assert shown(name, value, like) == text


def bounds(**item: Any) -> Document:
    return plain("LimitRange", spec={"limits": [{"type": "Container", **item}]})


def test_defaults_of_a_range_come_from_its_bounds() -> None:
    (item,) = stored(RANGE, bounds(max={"cpu": "2"}, min={"cpu": "1", "memory": "1Mi"}))["spec"]["limits"]
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"min": {"cpu": "2"}, "max": {"cpu": "1"}}, "min value 2 is greater than max value 1"),
        ({"default": {"cpu": "3"}, "max": {"cpu": "1"}}, "default value 3 is greater than max value 1"),
        ({"defaultRequest": {"cpu": "1"}, "default": {"cpu": "500m"}},
         "default request value 1 is greater than default limit value 500m"),
        ({"defaultRequest": {"cpu": "1"}, "min": {"cpu": "2"}}, "min value 2 is greater than default request value 1"),
        ({"maxLimitRequestRatio": {"cpu": "500m"}}, "ratio 500m is less than 1"),
        ({"min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "4"}},
         "ratio 4 is greater than max/min = 2.000000"),
        ({"type": "Pod", "default": {"cpu": "1"}}, "may not be specified when `type` is 'Pod'"),
        ({"type": "PersistentVolumeClaim"}, "either minimum or maximum storage value is required"),
        ({"type": "Thing"}, "must be a standard limit type or fully qualified"),
        ({"max": {"pods": "1"}}, "must be a standard resource for containers"),
        ({"default": {"example.com/gpu": "2"}, "defaultRequest": {"example.com/gpu": "1"}},
         "default value 2 must equal to defaultRequest value 1 in example.com/gpu"),
    ],
)  # fmt: skip
def test_ranges(item: dict[str, Any], words: str) -> None:
    assert words in " ".join(problems(RANGE, bounds(**item)))


def test_a_type_of_a_range_stands_once() -> None:
    twice = plain("LimitRange", spec={"limits": [{"type": "Pod"}, {"type": "Pod"}]})
    assert problems(RANGE, twice) == ['spec.limits[1].type: Duplicate value: "Pod"']


def priority(**more: Any) -> Document:
    return cluster("PriorityClass", "scheduling.k8s.io/v1", **more)


def test_priorities() -> None:
    assert problems(PRIORITY, priority(value=5)) == []
    assert "maximum allowed value" in problems(PRIORITY, priority(value=1_000_000_001))[0]
    assert "Unsupported value" in problems(PRIORITY, priority(preemptionPolicy="Sometimes"))[0]
    assert update_problems(PRIORITY, priority(value=6), priority(value=5)) == [
        "value: Forbidden: may not be changed in an update."
    ]
    system = edited(priority(value=2_000_000_000), {"metadata/name": "system-cluster-critical"})
    assert problems(PRIORITY, system) == []
    assert "value of system-cluster-critical PriorityClass must be" in problems(PRIORITY, {**system, "value": 1})[0]


def test_runtime_and_storage_classes() -> None:
    runtime = cluster("RuntimeClass", "node.k8s.io/v1", handler="runc")
    assert problems(RUNTIME, runtime) == []
    assert "handler" in problems(RUNTIME, {**runtime, "handler": "Bad_Name"})[0]
    assert "field is immutable" in update_problems(RUNTIME, {**runtime, "handler": "other"}, runtime)[0]
    storage = cluster("StorageClass", "storage.k8s.io/v1", provisioner="moorage.io/local")
    assert problems(STORAGE, storage) == []
    assert "Unsupported value" in problems(STORAGE, {**storage, "volumeBindingMode": "Later"})[0]
    changed = {**storage, "parameters": {"a": "b"}}
    assert update_problems(STORAGE, changed, storage) == ["parameters: Forbidden: updates to parameters are forbidden."]


def controller(**edits: Any) -> Document:
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return edited(plain("ReplicationController", spec={"template": template}), edits)


def test_a_replication_controller_takes_what_it_does_not_say_from_its_template() -> None:
    made = stored(CONTROLLER, controller())
    assert (made["spec"]["selector"], made["metadata"]["labels"]) == ({"app": "x"}, {"app": "x"})
    assert (made["spec"]["replicas"], made["status"]) == (1, {"replicas": 0})
    assert problems(CONTROLLER, controller()) == []
    other = problems(CONTROLLER, controller(**{"spec/selector": {"app": "y"}}))
    assert "`selector` does not match template `labels`" in other[0]
    late = problems(CONTROLLER, controller(**{"spec/template/spec/activeDeadlineSeconds": 5}))
    assert "activeDeadlineSeconds in ReplicationController is not Supported" in late[0]


def volume(**spec: Any) -> Document:
    usual = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    return cluster("PersistentVolume", spec={name: value for name, value in {**usual, **spec}.items() if value})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"accessModes": None}, "spec.accessModes: Required value"),
        ({"accessModes": ["Often"]}, "Unsupported value"),
        ({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, "may not use ReadWriteOncePod with other access modes"),
        ({"capacity": {"storage": "0"}}, "must be greater than zero"),
        ({"capacity": {"cpu": "1"}}, 'supported values: "storage"'),
        ({"hostPath": None}, "must specify a volume type"),
        ({"nfs": {"server": "s", "path": "/p"}}, "may not specify more than 1 volume type"),
        ({"hostPath": None, "local": {"path": "/x"}}, "Local volume requires node affinity"),
        ({"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"}, "may not be 'recycle'"),
        ({"volumeAttributesClassName": "x"}, "has to be specified when using volumeAttributesClassName"),
    ],
)
def test_volumes(spec: dict[str, Any], words: str) -> None:
    found = " ".join(problems(VOLUME, volume(**spec)))
    assert words in found
    assert bool(found) is bool(words)


def test_the_time_of_a_volumes_phase() -> None:
    old = stored(VOLUME, edited(volume(), {"metadata/creationTimestamp": "2026-01-01T00:00:00Z"}))
    assert old["status"] == {"phase": "Pending", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"}
    new = edited(old, {"status/phase": "Bound"})
    VOLUME.prepare_status(new, old, "2026-01-02T00:00:00Z")
    assert new["status"]["lastPhaseTransitionTime"] == "2026-01-02T00:00:00Z"
    same = edited(old, {"status/reason": "x"})
    VOLUME.prepare_status(same, old, "2026-01-02T00:00:00Z")
    assert same["status"]["lastPhaseTransitionTime"] == "2026-01-01T00:00:00Z"


def claim(size: str = "1Gi", **spec: Any) -> Document:
    usual = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return plain("PersistentVolumeClaim", spec={**usual, **spec})


@pytest.mark.parametrize(
    ("phase", "new", "words"),
    [
        ("Bound", claim("2Gi"), ""),
        ("Pending", claim("2Gi"), "spec is immutable after creation"),
        ("Bound", claim(accessModes=["ReadOnlyMany"]), "spec is immutable after creation"),
        ("Bound", claim("512Mi"), "field can not be less than status.capacity"),
        ("Pending", claim(volumeName="pv"), ""),
        ("Pending", claim(storageClassName="late"), ""),
    ],
)
def test_what_may_change_of_a_claim(phase: str, new: Document, words: str) -> None:
    status = {"phase": phase, "capacity": {"storage": "1Gi"}}
    old = {**stored(CLAIM, claim()), "status": status}
    after = {**stored(CLAIM, new), "status": status}
    found = " ".join(str(error) for error in CLAIM.validate_update(after, old))
    assert words in found
    assert bool(found) is bool(words)


def test_sources_of_a_claim_say_the_same() -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "other"}
    made = stored(CLAIM, claim(dataSource=source))
    assert made["spec"]["dataSourceRef"] == source
    foreign = {"apiGroup": "x.example.com", "kind": "Thing", "name": "y"}
    assert "dataSource" not in stored(CLAIM, claim(dataSource=foreign))["spec"]
