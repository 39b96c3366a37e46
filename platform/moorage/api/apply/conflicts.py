"""Conflicts of server-side apply as clients read them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from moorage.api.apply.fieldsets import FieldSet, paths
from moorage.api.apply.managers import UPDATE, Manager, Owned
from moorage.api.errors import ApiError


def conflict_error(conflicts: Mapping[Manager, FieldSet], managers: Mapping[Manager, Owned]) -> ApiError:
    """409 with a cause for each field that another manager owns with another value."""
    found = [
        (_shown(manager, managers[manager]), path)
        for manager in sorted(conflicts)
        for path in paths(conflicts[manager])
    ]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {shown}", "field": path} for shown, path in found
    ]
    if len(found) == 1:
        shown, path = found[0]
        message = f"Apply failed with 1 conflict: conflict with {shown}: {path}"
    else:
        lines: list[str] = []
        for shown in dict.fromkeys(each for each, _ in found):
            lines.append(f"conflicts with {shown}:")
            lines.extend(f"- {path}" for each, path in found if each == shown)
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return ApiError(409, message, details={"causes": causes})


def _shown(manager: Manager, owned: Owned) -> str:
    text = orjson.dumps(manager.name).decode()
    if manager.subresource:
        text += f" with subresource {orjson.dumps(manager.subresource).decode()}"
    return f"{text} using {owned.version}" if manager.operation == UPDATE else text
