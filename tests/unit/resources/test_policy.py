"""PodDisruptionBudgets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.documents import NOW, kind, plain, problems, stored

BUDGET = kind("PodDisruptionBudget", "policy")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"minAvailable": 1, "selector": {}}, []),
        ({"maxUnavailable": "25%"}, []),
        ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, []),
        (
            {"minAvailable": 1, "maxUnavailable": 2},
            [
                'spec: Invalid value: {"maxUnavailable":2,"minAvailable":1}: '
                "minAvailable and maxUnavailable cannot be both set"
            ],
        ),
        ({"minAvailable": -1}, ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"]),
        ({"maxUnavailable": "101%"}, ['spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        (
            {"minAvailable": "many"},
            [
                'spec.minAvailable: Invalid value: "many": a valid percent string must be a numeric string followed by '
                "an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
            ],
        ),
        (
            {"unhealthyPodEvictionPolicy": "Sometimes"},
            [
                'spec.unhealthyPodEvictionPolicy: Unsupported value: "Sometimes": supported values: '
                '"AlwaysAllow", "IfHealthyBudget"'
            ],
        ),
        (
            {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            [
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' "
                "or 'NotIn'"
            ],
        ),
    ],
)
def test_rules(spec: dict[str, Any], found: list[str]) -> None:
    assert problems(BUDGET, plain("PodDisruptionBudget", "policy", spec=spec)) == found


def test_the_status_holds_no_negative_numbers() -> None:
    old = stored(BUDGET, plain("PodDisruptionBudget", "policy", spec={}))
    old["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    condition = {"type": "DisruptionAllowed", "status": "True", "reason": "x"}
    new = {**old, "status": {"disruptionsAllowed": -1, "conditions": [condition, condition]}}
    assert [str(each) for each in BUDGET.validate_status_update(new, old)] == [
        "status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0",
        'status.conditions[1].type: Duplicate value: "DisruptionAllowed"',
    ]


def test_columns() -> None:
    budget = stored(BUDGET, plain("PodDisruptionBudget", "policy", spec={"minAvailable": 0}))
    cells = {column.name: column.cell(budget, NOW) for column in BUDGET.columns}
    assert (cells["Min Available"], cells["Max Unavailable"], cells["Allowed Disruptions"]) == ("0", "N/A", 0)
