"""A transaction's refusals, told by file and line."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api.contracts import OperationResult, TransactionResult
from moorage.resources.builtin import builtin_registry
from moorage_gitops.host.deploy import outcome
from moorage_gitops.host.deploy.live import Live
from moorage_gitops.host.deploy.objects import Owner, collect
from moorage_gitops.host.deploy.plan import Application, Plan
from moorage_gitops.host.deploy.prune import PrunePlan
from moorage_gitops.host.deploy.source import Reading, parse
from moorage_gitops.host.manifests.limits import ManifestLimits

FILES = {
    "a.yaml": b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    app.kubernetes.io/name: X!\n",
    "s.yaml": b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ntype: my canary\n",
}


def plan(files: dict[str, bytes] | None = None, removed: int = 0, name: str = "web") -> Plan:
    reading = Reading(files=2, texts=dict(files or FILES))
    parse(reading, ManifestLimits())
    registry = builtin_registry()
    owner = Owner("shop", name)
    desired = collect(reading, registry, owner, 100).desired
    gone = [Live(desired[0].kind, "shop", f"old{i}", f"uid{i}", False, False) for i in range(removed)]
    return Plan(Application(owner, "main", "", True, False), "c" * 40, reading, desired, PrunePlan(gone), {})


def status(code: int, message: str = "no", **fields: str) -> dict[str, Any]:
    causes = [{"reason": "FieldValueInvalid", "field": field, "message": text} for field, text in fields.items()]
    return {"code": code, "message": message, "details": {"causes": causes}}


def result(
    plans: list[Plan], errors: dict[int, dict[str, Any]], whole: dict[str, Any] | None = None
) -> TransactionResult:
    operations = [operation for each in plans for operation in each.operations({})]
    results = [
        OperationResult(operation, "failed" if index in errors else "created", error=errors.get(index))
        for index, operation in enumerate(operations)
    ]
    return TransactionResult(False, 0, [] if whole else results, whole)


def told(plans: list[Plan], found: TransactionResult) -> list[str]:
    return [str(problem) for problem in outcome.problems(found, plans)]


def test_a_broken_field_has_its_line() -> None:
    plans = [plan()]
    error = status(422, **{"metadata.labels[app.kubernetes.io/name]": 'Invalid value: "X!": bad'})
    found = result(plans, {0: error})

    assert outcome.failed(found)
    assert told(plans, found) == [
        'a.yaml:6: ConfigMap shop/a: metadata.labels[app.kubernetes.io/name]: Invalid value: "X!": bad'
    ]
    assert outcome.problems(found, plans)[0].excerpt.strip() == "app.kubernetes.io/name: X!"


@pytest.mark.parametrize(
    "message",
    ['Invalid value: "my canary": must be b: c', 'Unsupported value: "canary"', 'Invalid value: {"a":"canary"}: no'],
)
def test_no_value_of_a_secret_is_told(message: str) -> None:
    plans = [plan()]

    (text,) = told(plans, result(plans, {1: status(422, type=message)}))

    assert text.startswith("s.yaml:5: Secret shop/s: type: ")
    assert "canary" not in text
    assert "<hidden>" in text


def test_a_refusal_without_fields_names_the_object() -> None:
    plans = [plan()]

    assert told(plans, result(plans, {0: status(403, "you may not")})) == ["a.yaml:1: ConfigMap shop/a: you may not"]


def test_the_second_application_s_objects_are_found() -> None:
    plans = [plan(removed=1), plan({"b.yaml": FILES["a.yaml"].replace(b"name: a", b"name: b")}, name="other")]

    assert told(plans, result(plans, {3: status(403, "no")})) == ["b.yaml:1: ConfigMap shop/b: no"]
    assert told(plans, result(plans, {2: status(403, "no")})) == ["(pruning): ConfigMap shop/old0: no"]


def test_a_refusal_of_the_whole() -> None:
    plans = [plan()]

    assert told(plans, result(plans, {}, status(503, "try later"))) == ["(this push): try later"]
    causes = status(422, **{"operations[1].object.type": "Required value"})
    assert told(plans, result(plans, {}, causes)) == ["s.yaml:5: Secret shop/s: type: Required value"]


def test_only_deletions_that_others_made_are_worth_another_attempt() -> None:
    plans = [plan(removed=2)]

    assert outcome.outdated(result(plans, {2: status(404)}), plans)
    assert outcome.outdated(result(plans, {2: status(404), 3: status(409)}), plans)
    assert not outcome.outdated(result(plans, {0: status(409)}), plans)
    assert not outcome.outdated(result(plans, {2: status(404), 3: status(403)}), plans)
    assert not outcome.outdated(result(plans, {}), plans)


def test_effects_are_counted() -> None:
    made = plan(removed=1)
    effects = outcome.effects(made, result([made], {}).results)

    assert [(effect.action, effect.subject) for effect in effects] == [
        ("created", "ConfigMap shop/a"),
        ("created", "Secret shop/s"),
        ("pruned", "ConfigMap shop/old0"),
    ]
    assert outcome.count(effects) == outcome.Counts(2, 0, 0, 1)
