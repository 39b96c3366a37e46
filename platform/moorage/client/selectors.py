"""Query parameters that the API's verbs share: selectors given as text or as a mapping, options left out where empty."""

from __future__ import annotations

from collections.abc import Mapping

Selector = str | Mapping[str, str]
"""``"app=web,tier!=db"``, or a mapping of exact matches."""


def selector_text(selector: Selector) -> str:
    """A selector as the API spells it."""
    if isinstance(selector, str):
        return selector
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def label_selector_text(selector: Mapping[str, object]) -> str:
    """A ``LabelSelector`` (matchLabels, matchExpressions) in the spelling of ``labelSelector=``. Raises ValueError on an
    operator that is not one.
    """
    parts = []
    labels = selector.get("matchLabels")
    if isinstance(labels, Mapping):
        parts += [f"{key}={value}" for key, value in sorted(labels.items())]
    expressions = selector.get("matchExpressions")
    for expression in expressions if isinstance(expressions, list) else ():
        key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
        if operator in ("In", "NotIn"):
            parts.append(f"{key} {operator.lower()} ({','.join(sorted(values))})")
        elif operator == "Exists":
            parts.append(key)
        elif operator == "DoesNotExist":
            parts.append(f"!{key}")
        else:
            raise ValueError(f"{operator!r} is not a label selector operator")
    return ",".join(parts)


def params(**options: object) -> dict[str, str]:
    """Options as query parameters: empty ones are left out, ``True`` is ``true``, underscores go
    (``label_selector`` -> ``labelSelector``).
    """
    query = {}
    for name, value in options.items():
        if value is None or value == "" or value is False:
            continue
        head, *tail = name.strip("_").split("_")
        query[head + "".join(part.capitalize() for part in tail)] = "true" if value is True else str(value)
    return query
