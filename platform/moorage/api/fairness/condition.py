"""Condition ``Dangling`` of FlowSchemas: whether the priority level that they name is missing.

Source: apiserver/pkg/util/flowcontrol/apf_controller.go (syncFlowSchemaStatus).
"""

from __future__ import annotations

from moorage.api.fairness.control import LEVELS, SCHEMAS
from moorage.api.service import Service
from moorage.api.writing import strategy
from moorage.api.writing.contracts import Planned, View
from moorage.api.writing.together import PLATFORM, SERVER
from moorage.resources.flowcontrol import FLOW_SCHEMA
from moorage.resources.kind import Document
from moorage.store.contracts import Origin

DANGLING = "Dangling"


async def mark_all(service: Service) -> None:
    """Write the condition where it is not what it should be. Raises ApiError, Unavailable, OutcomeUnknown."""
    schemas, levels = await service.store.cache(SCHEMAS), await service.store.cache(LEVELS)
    known = {entry.key.name for entry in levels.entries()}
    for entry in schemas.entries():
        document = entry.document()
        level = ((document.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", "")
        if _stated(document) != _condition(level, level in known)["status"]:
            await _mark(service, entry.key.name, level, level in known)


async def _mark(service: Service, name: str, level: str, found: bool) -> None:
    def change(schema: Document) -> Document:
        others = [each for each in (schema.get("status") or {}).get("conditions") or () if each["type"] != DANGLING]
        schema["status"] = {"conditions": [*others, _condition(level, found)]}
        return schema

    async def plan(view: View) -> Planned:
        return await service.planner.update(view, PLATFORM, FLOW_SCHEMA, "", name, change, "status")

    await service.executor.run(plan, PLATFORM, Origin(SERVER.name, field_manager=PLATFORM.manager))


def _stated(schema: Document) -> str:
    conditions = (schema.get("status") or {}).get("conditions") or ()
    return next((each.get("status", "") for each in conditions if each.get("type") == DANGLING), "")


def _condition(level: str, found: bool) -> Document:
    if found:
        message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
    else:
        message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" but there is no such object'
    return {
        "type": DANGLING,
        "status": "False" if found else "True",
        "reason": "Found" if found else "NotFound",
        "message": message,
        "lastTransitionTime": strategy.now(),
    }
