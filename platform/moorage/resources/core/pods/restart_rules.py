"""Rules of a container's own restart policy, and of what its exit codes mean (KEP-5307, KEP-5532)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.resources.checks import Errors, check_choice
from moorage.resources.field_errors import required, too_many

Part = Mapping[str, Any]

_POLICIES = ("Always", "Never", "OnFailure")
_ACTIONS = ("Restart", "RestartAllContainers")
_OPERATORS = ("In", "NotIn")
_MOST_RULES, _MOST_CODES = 20, 255


def check_restarts(errors: Errors, path: str, container: Part) -> None:
    """``restartPolicy`` and ``restartPolicyRules`` of a container or an init container."""
    rules = container.get("restartPolicyRules") or ()
    if "restartPolicy" in container:
        check_choice(errors, f"{path}.restartPolicy", container["restartPolicy"], _POLICIES)
    elif rules:
        errors.append(required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used"))
    if len(rules) > _MOST_RULES:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), _MOST_RULES))
    for index, rule in enumerate(rules):
        here = f"{path}.restartPolicyRules[{index}]"
        check_choice(errors, f"{here}.action", rule.get("action", ""), _ACTIONS)
        codes = rule.get("exitCodes")
        if codes is None:
            errors.append(required(f"{here}.exitCodes", "must be specified"))
            continue
        check_choice(errors, f"{here}.exitCodes.operator", codes.get("operator", ""), _OPERATORS)
        values = codes.get("values") or ()
        if len(values) > _MOST_CODES:
            errors.append(too_many(f"{here}.exitCodes.values", len(values), _MOST_CODES))


def may_restart(container: Part, pod_policy: str, exit_code: int) -> bool:
    """Whether a container that ended with ``exit_code`` may be started again."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (exit_code in (codes.get("values") or ())) is (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or pod_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def may_all_restart(spec: Part) -> bool:
    """Whether an exit of one of the pod's containers may start all of them anew."""
    every = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return any(
        rule.get("action") == "RestartAllContainers" for one in every for rule in one.get("restartPolicyRules") or ()
    )
