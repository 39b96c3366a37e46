"""Rules of resource amounts, and what a pod asks for altogether."""

from typing import Any

import pytest

from moorage.resources.core.pods import amounts
from tests.unit.resources.documents import edited, kind, pod, problems

POD = kind("Pod")
HERE = "spec.containers[0].resources"


def with_resources(**resources: Any) -> dict[str, Any]:
    return edited(pod(), {"spec/containers/0/resources": resources})


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({"limits": {"cpu": "-1"}}, 'limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'),
        (
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            'requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"requests": {"gpu": "1"}},
            'requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
        ),
        (
            {"requests": {"pods": "1"}},
            'requests[pods]: Invalid value: "pods": must be a standard resource for containers',
        ),
        ({"requests": {"a/": "1"}}, 'requests[a/]: Invalid value: "a/": name part must be non-empty'),
        (
            {"requests": {"example.com/gpu": "1"}},
            "limits: Required value: Limit must be set for non overcommitable resources",
        ),
        (
            {"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "2"}},
            'requests: Invalid value: "1": must be equal to example.com/gpu limit of 2',
        ),
        (
            {"limits": {"example.com/gpu": "1500m"}},
            'limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
        ),
        (
            {"limits": {"cpu": "1", "hugepages-2Mi": "3Mi"}},
            'limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive',
        ),
        (
            {"claims": [{"name": "gpu"}]},
            'claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims',
        ),
    ],
)
def test_refused(resources: dict[str, Any], problem: str) -> None:
    found = problems(POD, with_resources(**resources))
    assert any(each.startswith(f"{HERE}.{problem}") for each in found), found


@pytest.mark.parametrize(
    "resources",
    [
        {"requests": {"cpu": "0"}, "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "5Gi"}},
        {"requests": {"cpu": "1000m"}, "limits": {"cpu": "1"}},
        {"requests": {"example.com/gpu": "2"}, "limits": {"example.com/gpu": "2"}},
        {"limits": {"cpu": "1", "hugepages-2Mi": "4Mi"}},
    ],
)
def test_accepted(resources: dict[str, Any]) -> None:
    assert problems(POD, with_resources(**resources)) == []


def test_huge_pages_need_memory_or_cpu() -> None:
    assert problems(POD, with_resources(limits={"hugepages-2Mi": "4Mi"})) == [
        f"{HERE}: Forbidden: HugePages require cpu or memory"
    ]


def test_claims_are_named_once_and_declared() -> None:
    claims = [{"name": "gpu", "resourceClaimName": "big"}]
    document = {**with_resources(claims=[{"name": "gpu"}, {"name": "gpu"}])}
    document["spec"]["resourceClaims"] = claims
    assert problems(POD, document) == [f'{HERE}.claims[1]: Duplicate value: "gpu"']
    document["spec"]["containers"][0]["resources"] = {"claims": [{"name": "gpu"}]}
    assert problems(POD, document) == []


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        (
            {"limits": {"ephemeral-storage": "1"}},
            'spec.resources.limits[ephemeral-storage]: Unsupported value: "ephemeral-storage"',
        ),
        (
            {"claims": [{"name": "a"}]},
            "spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level",
        ),
        (
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            'spec.resources.requests: Invalid value: "2": must be less than',
        ),
    ],
)
def test_amounts_of_the_whole_pod(resources: dict[str, Any], problem: str) -> None:
    found = problems(POD, pod(resources=resources))
    assert len(found) == 1
    assert found[0].startswith(problem)
    assert problems(POD, pod(resources={"limits": {"cpu": "1", "memory": "1Gi"}})) == []


def container(cpu: str, **rest: Any) -> dict[str, Any]:
    return {"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}, **rest}


@pytest.mark.parametrize(
    ("spec", "millicores"),
    [
        ({"containers": [container("100m"), container("200m")]}, 300),
        ({"containers": [container("100m")], "initContainers": [container("1")]}, 1000),
        ({"containers": [container("100m")], "initContainers": [container("50m"), container("80m")]}, 100),
        ({"containers": [container("100m")], "initContainers": [container("50m", restartPolicy="Always")]}, 150),
        (
            {
                "containers": [container("100m")],
                "initContainers": [container("50m", restartPolicy="Always"), container("200m")],
            },
            250,
        ),
        (
            {
                "containers": [container("100m")],
                "initContainers": [container("200m"), container("50m", restartPolicy="Always")],
            },
            200,
        ),
        ({"containers": [container("100m")], "overhead": {"cpu": "10m"}}, 110),
        ({"containers": [container("100m")], "resources": {"requests": {"cpu": "2"}}}, 2000),
        ({"containers": [{"name": "c"}]}, 0),
    ],
)
def test_what_a_pod_needs(spec: dict[str, Any], millicores: int) -> None:
    assert amounts.pod_amounts(spec).get("cpu", 0) == millicores


def test_units() -> None:
    assert amounts.in_units({"cpu": "1.5", "memory": "1Ki", "pods": "3"}) == {"cpu": 1500, "memory": 1024, "pods": 3}
    assert amounts.in_units(None) == {}


def test_overhead_counts_as_a_limit_only_where_there_is_one() -> None:
    spec = {"containers": [{"resources": {"limits": {"cpu": "1"}}}], "overhead": {"cpu": "1", "memory": "1Mi"}}
    assert amounts.pod_amounts(spec, "limits") == {"cpu": 2000}


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
        ([{"requests": BOTH, "limits": BOTH}], "Guaranteed"),
        ([{"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": BOTH}], "Guaranteed"),
        ([{"requests": BOTH, "limits": BOTH}, {}], "Burstable"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": BOTH}], "Burstable"),
        ([{"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}], "Burstable"),
    ],
)
def test_quality_of_service(resources: list[dict[str, Any]], quality: str) -> None:
    containers = [{"name": f"c{index}", "resources": each} for index, each in enumerate(resources)]
    assert amounts.qos_class({"spec": {"containers": containers}}) == quality
