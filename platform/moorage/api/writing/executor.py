"""Carries one plan out: commits it, and plans again where the world had moved on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from moorage.api.errors import ApiError, already_exists, conflict, forbidden, not_found
from moorage.api.writing import quotas
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.api.writing.views import CacheView
from moorage.store.contracts import Op, Origin, Outcome, Store, Verdict

ATTEMPTS = 10
"""Plans made for one request before the client is told to try again."""

Plan = Callable[[View], Awaitable[Planned]]


@dataclass(frozen=True, slots=True)
class Done:
    """A plan that was carried out (or would have been, in a dry run). ``revision`` is 0 where nothing was written."""

    planned: Planned
    revision: int

    @property
    def data(self) -> bytes:
        """The object's bytes."""
        return self.planned.data(self.revision)


class Executor:
    """Runs plans of single writes against the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, plan: Plan, writer: Writer, origin: Origin) -> Done:
        """Plan, commit, answer. Raises ApiError, OutcomeUnknown, Unavailable.

        A plan made on a cache that lagged behind can be wrong in three ways: it refuses, it finds nothing to do, or
        its commit does not match. Each is planned again on fresh caches; what then still fails is the answer.
        """
        view = CacheView(self._store)
        refused: Planned | None = None
        verdict: Verdict | None = None
        for _ in range(ATTEMPTS):
            try:
                planned = await plan(view)
            except ApiError:
                if view.certain or not view.consulted:
                    raise
                await view.refresh()
                continue
            if planned.write is None:
                if view.certain:
                    return Done(planned, 0)
                await view.refresh()
                continue
            if writer.dry_run:
                return Done(planned, 0)
            refused, verdict = await self._commit(planned, origin)
            if verdict.outcome is Outcome.WRITTEN:
                return Done(planned, verdict.revision)
            if verdict.outcome is Outcome.QUOTA:
                break
            await view.refresh()
        assert refused is not None
        raise refusal(refused, verdict)

    async def _commit(self, planned: Planned, origin: Origin) -> tuple[Planned, Verdict]:
        """The plan and its verdict; where a companion stands against it, that one and its verdict."""
        if not planned.companions:
            assert planned.write is not None
            return planned, (await self._store.commit([planned.write], origin))[0]
        members = [planned, *planned.companions]
        writes = [member.write for member in members if member.write is not None]
        verdicts = await self._store.commit(writes, origin, atomic=True)
        for member, verdict in zip(members, verdicts, strict=True):
            if verdict.outcome not in (Outcome.WRITTEN, Outcome.ABORTED):
                return member, verdict
        return planned, verdicts[0]


def refusal(planned: Planned, verdict: Verdict | None) -> ApiError:
    """What a verdict of the store means to the client."""
    kind, name = planned.kind, planned.key.name
    outcome = Outcome.CONFLICT if verdict is None else verdict.outcome
    if outcome is Outcome.QUOTA:
        return forbidden(kind.group, kind.plural, name, quotas.sentence(verdict.exceeded if verdict else ()))
    if outcome is Outcome.EXISTS:
        return already_exists(kind.group, kind.plural, name)
    if outcome is Outcome.NOT_FOUND and planned.write is not None and planned.write.op is not Op.CREATE:
        return not_found(kind.group, kind.plural, name)
    return conflict(kind.group, kind.plural, name)
