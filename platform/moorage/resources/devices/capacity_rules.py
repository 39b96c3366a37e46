"""Rules of a device's capacity, and of what may be asked of one that several claims share (KEP-5075)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import quantity
from moorage.resources.checks import Errors
from moorage.resources.field_errors import duplicate, forbidden, invalid, required, too_many

Part = Mapping[str, Any]

MOST_VALUES = 10


def check_capacity(errors: Errors, path: str, capacity: Part, *, shared: bool) -> None:
    """One capacity; ``shared``: of a device that several claims may have."""
    policy = capacity.get("requestPolicy")
    if policy is None:
        return
    here, most = f"{path}.requestPolicy", capacity.get("value", "0")
    if not shared:
        errors.append(forbidden(here, "allowMultipleAllocations must be true"))
        return
    values, span = policy.get("validValues"), policy.get("validRange")
    if values and span is not None:
        detail = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        errors.append(forbidden(here, detail))
    elif values and "default" not in policy:
        errors.append(required(f"{here}.default", "required when validValues is defined"))
    elif values:
        _check_values(errors, f"{here}.validValues", values, policy["default"], most)
    elif span is not None and "default" not in policy:
        errors.append(required(f"{here}.default", "required when validRange is defined"))
    elif span is not None:
        _check_range(errors, f"{here}.validRange", span, policy["default"], most)


def _check_values(errors: Errors, path: str, values: Sequence[str], default: str, most: str) -> None:
    for index in range(1, len(values)):
        if quantity.compare(values[index - 1], values[index]) > 0:
            errors.append(invalid(f"{path}[{index}]", values[index], "values must be sorted in ascending order"))
    if len(values) > MOST_VALUES:
        errors.append(too_many(path, len(values), MOST_VALUES))
        return
    seen: set[int] = set()
    for index, value in enumerate(values):
        if quantity.compare(value, most) > 0:
            errors.append(invalid(f"{path}[{index}]", value, f"option is larger than capacity value: {most}"))
        amount = quantity.parse(value).nanos
        if amount in seen:
            errors.append(duplicate(f"{path}[{index}]", value))
        seen.add(amount)
    if quantity.parse(default).nanos not in seen:
        errors.append(invalid(path, default, "default value is not valid according to the requestPolicy"))


def _check_range(errors: Errors, path: str, span: Part, default: str, most: str) -> None:
    least, highest, step = span.get("min"), span.get("max"), span.get("step")
    if least is None:
        errors.append(required(f"{path}.min", "required when validRange is defined"))
        return
    if quantity.compare(least, most) > 0:
        errors.append(invalid(f"{path}.min", least, f"min is larger than capacity value: {most}"))
    if quantity.compare(default, least) < 0:
        errors.append(invalid(f"{path}.default", default, f"default is less than min: {least}"))
    if highest is not None:
        if quantity.compare(least, highest) > 0:
            errors.append(invalid(f"{path}.max", least, f"min is larger than max: {highest}"))
        if quantity.compare(highest, most) > 0:
            errors.append(invalid(f"{path}.max", highest, f"max is larger than capacity value: {most}"))
        if quantity.compare(default, highest) > 0:
            errors.append(invalid(f"{path}.default", default, f"default is more than max: {highest}"))
    if step is not None:
        _check_step(errors, f"{path}.step", step, least, [default, *([highest] if highest else [])], most)


def _check_step(errors: Errors, path: str, step: str, least: str, values: Sequence[str], most: str) -> None:
    width, start = quantity.parse(step).nanos, quantity.parse(least).nanos
    if width <= 0:
        errors.append(invalid(path, step, "must be greater than zero"))
        return
    if start + width > quantity.parse(most).nanos:
        one = quantity.total((least, step))
        errors.append(invalid(path, step, f"one step {one} is larger than capacity value: {most}"))
    for value in values:
        if (quantity.parse(value).nanos - start) % width:
            errors.append(invalid(path, value, f"value is not a multiple of a given step ({step}) from ({least})"))
