"""The auditor that the API tells of every request: what leaves a row goes to this server's chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moorage.api.contracts import Attributes, Decision
from moorage.store.audit_chain import AuditRecord
from moorage_tenants.audit import policy
from moorage_tenants.audit.meter import LoginMeter, Meter

LONGEST = 512
"""Characters of what a client says of itself (its user agent, a path)."""
_COLUMNS = frozenset({"code", "id", "source_ip", "user_agent", "source_commit"})
REFUSED = frozenset({401, 403})
POLICY = "refused by an admission or a quota"
"""Where the authorizer allowed what was refused. The message of the answer may hold what was sent, so it is not kept."""


class Chain(Protocol):
    """Where rows go (``moorage.store.audit_chain.AuditChain``)."""

    def record(self, record: AuditRecord) -> None:
        """Queue a row."""
        ...

    def is_committed(self, request_id: str) -> bool:
        """Whether the request's row is in the chain of commits already."""
        ...


class TableAuditor:
    """Implements ``moorage.api.contracts.Auditor``. It keeps no document, and of the outcome what is a short value only."""

    def __init__(self, chain: Chain, *, clock: Callable[[], float] = time.time) -> None:
        self._chain = chain
        self._clock = clock
        self._meter = Meter(time.monotonic)
        self._logins = LoginMeter(time.monotonic)

    def record(self, attributes: Attributes, decision: Decision, outcome: Mapping[str, Any]) -> None:
        """One request. A write has its row from the commit that made it, and a watch gets its row when it begins."""
        code, request_id = int(outcome.get("code", 0)), str(outcome.get("id", ""))
        # What was narrowed instead of refused has a refusal's decision and an answer.
        refused = code in REFUSED or (not decision.allowed and not 0 < code < 400)
        counted: int | None = 0
        if code == 401:
            counted = self._logins.take(str(outcome.get("source_ip", "")))
        elif refused:
            counted = self._meter.take(attributes.identity.name)
        elif (code < 400 and self._chain.is_committed(request_id)) or not policy.leaves_row(attributes, code):
            return
        if counted is None:
            return
        for who, count in (*self._meter.forgotten(), *self._logins.forgotten()):
            self._chain.record(AuditRecord(self._clock(), who, "refused", False, 0, detail={"refusalsNotShown": count}))
        self._chain.record(self._row(attributes, decision, outcome, not refused, counted))

    def _row(
        self, attributes: Attributes, decision: Decision, outcome: Mapping[str, Any], allowed: bool, kept_back: int
    ) -> AuditRecord:
        identity = attributes.identity
        detail: dict[str, Any] = {
            "groups": sorted(identity.groups),
            "impersonator": identity.impersonator,
            "sourceIP": str(outcome.get("source_ip", "")),
            "userAgent": str(outcome.get("user_agent", ""))[:LONGEST],
            "path": attributes.path[:LONGEST],
            "reason": "" if allowed else (decision.reason or POLICY)[:LONGEST],
            "refusalsNotShown": kept_back,
        }
        for name, value in outcome.items():
            if name not in _COLUMNS and isinstance(value, str | int | bool):
                detail[name] = value[:LONGEST] if isinstance(value, str) else value
        return AuditRecord(
            at=self._clock(),
            actor=identity.name,
            verb=attributes.verb,
            allowed=allowed,
            code=int(outcome.get("code", 0)),
            request_id=str(outcome.get("id", "")),
            group=attributes.group,
            resource=attributes.resource,
            subresource=attributes.subresource,
            namespace=attributes.namespace,
            name=attributes.name,
            source_commit=str(outcome.get("source_commit", "")),
            detail={name: value for name, value in detail.items() if value},
        )
