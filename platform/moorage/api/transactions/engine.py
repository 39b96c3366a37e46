"""The transaction primitive: many operations, all or none, or each alone. Implements ``moorage.api.contracts.Transactor``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from moorage.api.config import MAX_TRANSACTION
from moorage.api.contracts import (
    Attributes,
    Decision,
    Identity,
    Operation,
    OperationResult,
    TransactionRequest,
    TransactionResult,
)
from moorage.api.entrance import outcome_of
from moorage.api.errors import ApiError, forbidden
from moorage.api.request import new_request_id
from moorage.api.service import Service, origin_of
from moorage.api.transactions import conditions, operations
from moorage.api.transactions.overlay import Overlay
from moorage.api.writing.contracts import Planned, View, Writer
from moorage.api.writing.executor import ATTEMPTS, Done, refusal
from moorage.api.writing.views import CacheView
from moorage.resources.kind import Document, Kind
from moorage.store.contracts import Origin, Outcome, OutcomeUnknown, Unavailable, Verdict

MAX_OPERATIONS = 5_000
TURN = 8
"""Operations planned before others get the event loop."""
DEFAULT_MANAGER = "moorage"
POLICY = "refused by an admission or a quota"

Outcomes = list["Planned | ApiError"]


@dataclass(frozen=True, slots=True)
class _Run:
    """One call of ``transact``."""

    identity: Identity
    request: TransactionRequest
    origin: Origin
    writers: Sequence[Writer]
    noted: set[int] = field(default_factory=set)
    """Operations whose refusal the audit knows of: what is planned again is refused again."""


class Engine:
    """Plans with the same planner as single requests, and commits once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = service.store

    async def transact(self, identity: Identity, request: TransactionRequest) -> TransactionResult:
        """Authorise, default, admit, validate, charge and write. Refusals are results, not exceptions."""
        self._service.metrics.transaction_sizes.observe(len(request.operations))
        try:
            if len(request.operations) > MAX_OPERATIONS:
                raise _too_many(len(request.operations))
            run = self._prepare(identity, request)
            result = await (self._atomic(run) if request.atomic else self._each(run))
            self._note_members(run, result)
            return result
        except ApiError as error:
            return _failed(error)
        except Unavailable as error:
            return _failed(ApiError(503, f"the database cannot be reached: {error}"))
        except OutcomeUnknown as error:
            return _failed(ApiError(504, f"it is not known whether the transaction took place: {error}"))

    def _prepare(self, identity: Identity, request: TransactionRequest) -> _Run:
        manager = request.field_manager or DEFAULT_MANAGER
        origin = origin_of(
            identity,
            request.client,
            request.request_id or new_request_id(),
            manager,
            source_commit=request.source_commit,
        )
        writers = [self._writer(identity, request, operation) for operation in request.operations]
        return _Run(identity, request, origin, writers)

    def _writer(self, identity: Identity, request: TransactionRequest, operation: Operation) -> Writer:
        async def permit(
            verb: str, kind: Kind, namespace: str, name: str, document: Document | None, view: View
        ) -> None:
            await self._service.authorise(
                identity,
                verb,
                kind.group,
                kind.plural,
                namespace=namespace,
                name=name,
                document=operation.document if document is None else document,
                view=view,
            )

        manager = operation.field_manager or request.field_manager or DEFAULT_MANAGER
        return Writer(identity, permit, manager, request.dry_run, "Strict")

    async def _atomic(self, run: _Run) -> TransactionResult:
        """Plan all on one overlay and commit it; where the world moved on, all again."""
        view = CacheView(self._store)
        error: ApiError | None = None
        for _ in range(ATTEMPTS):
            overlay = Overlay(view)
            try:
                await conditions.check(self._service.registry, view, self._store, run.request)
                outcomes = await self._plan(run, overlay, overlay)
                failed = any(isinstance(outcome, ApiError) for outcome in outcomes)
            except ApiError as refused:
                if view.certain:
                    return _failed(refused)
                outcomes, failed = [], True
            if not view.certain and (failed or not overlay.writes):
                await view.refresh()
                continue
            if failed:
                return TransactionResult(False, 0, _results(run, outcomes, []))
            if run.request.dry_run or not (overlay.writes or run.request.refs):
                return TransactionResult(True, 0, _results(run, outcomes, []))
            _check_size(overlay)
            verdicts = await self._store.commit(
                overlay.writes,
                run.origin,
                atomic=True,
                preconditions=[*run.request.preconditions, *overlay.namespace_conditions()],
                refs=run.request.refs,
            )
            if all(verdict.outcome is Outcome.WRITTEN for verdict in verdicts):
                revision = max((verdict.revision for verdict in verdicts), default=0)
                return TransactionResult(True, revision, _results(run, outcomes, _numbered(overlay, verdicts)))
            error = _verdict_error(overlay, outcomes, verdicts)
            if error.code == 403:
                break
            await view.refresh()
        return _failed(error or ApiError(409, "the transaction met other writers too often; try again"))

    async def _plan(self, run: _Run, view: View, overlay: Overlay | None) -> Outcomes:
        outcomes: Outcomes = []
        for index, operation in enumerate(run.request.operations):
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)
            try:
                await self._authorise(run, view, operation)
                planned = await operations.plan(self._service, view, run.writers[index], operation)
                if overlay is not None:
                    overlay.stage(planned, index)
                outcomes.append(planned)
            except ApiError as error:
                outcomes.append(error)
        return outcomes

    async def _authorise(self, run: _Run, view: View, operation: Operation) -> None:
        """Raises ApiError 403. The view counts: a namespace of the same transaction may be what gives the right."""
        decision = await operations.permitted(self._service.config.authorizer, run.identity, operation, view)
        if not decision.allowed:
            self._note_refusal(run, operation, decision.reason)
            raise forbidden(operation.kind.group, operation.kind.plural, operation.name, decision.reason)

    def _note_members(self, run: _Run, result: TransactionResult) -> None:
        """What admissions, quotas and roles refused of the members, after the authorizer had allowed it."""
        for each in result.results:
            if each.error is not None and each.error.get("code") == 403:
                self._note_refusal(run, each.operation, POLICY)

    def _note_refusal(self, run: _Run, operation: Operation, reason: str) -> None:
        """Members of a transaction are not requests of their own: nobody else tells the audit of them."""
        if id(operation) in run.noted:
            return
        run.noted.add(id(operation))
        kind = operation.kind
        place = (kind.group, kind.plural, operation.subresource, operation.namespace, operation.name)
        attributes = Attributes(run.identity, operation.verb, *place)
        outcome = outcome_of(run.request.client, 403, run.origin.request_id)
        if run.request.source_commit:
            outcome["source_commit"] = run.request.source_commit
        self._service.config.auditor.record(attributes, Decision(False, reason), outcome)

    async def _each(self, run: _Run) -> TransactionResult:
        """Plan each on the caches, commit all at once, and do what met another writer again by itself."""
        view = CacheView(self._store)
        outcomes = await self._plan(run, view, None)
        if any(isinstance(each, ApiError) or each.write is None for each in outcomes):
            await view.refresh()
            outcomes = await self._plan(run, view, None)
        revisions = [0] * len(outcomes)
        if not run.request.dry_run:
            await self._commit_each(run, outcomes, revisions)
        results = _results(run, outcomes, revisions)
        return TransactionResult(True, max(revisions, default=0), results)

    async def _commit_each(self, run: _Run, outcomes: Outcomes, revisions: list[int]) -> None:
        planned = [
            (index, outcome.write)
            for index, outcome in enumerate(outcomes)
            if not isinstance(outcome, ApiError) and outcome.write is not None and not outcome.companions
        ]
        for index, outcome in enumerate(outcomes):
            if not isinstance(outcome, ApiError) and outcome.companions:
                await self._alone(run, index, outcomes, revisions)
        if not planned:
            return
        verdicts = await self._store.commit([write for _, write in planned], run.origin)
        for (index, _), verdict in zip(planned, verdicts, strict=True):
            if verdict.outcome is Outcome.WRITTEN:
                revisions[index] = verdict.revision
                continue
            await self._alone(run, index, outcomes, revisions)

    async def _alone(self, run: _Run, index: int, outcomes: Outcomes, revisions: list[int]) -> None:
        """Do one operation as a request of its own."""
        try:
            done = await self._again(run, index)
            outcomes[index], revisions[index] = done.planned, done.revision
        except ApiError as error:
            outcomes[index] = error

    async def _again(self, run: _Run, index: int) -> Done:
        async def plan(view: View) -> Planned:
            return await operations.plan(self._service, view, run.writers[index], run.request.operations[index])

        return await self._service.executor.run(plan, run.writers[index], run.origin)


def _numbered(overlay: Overlay, verdicts: Sequence[Verdict]) -> dict[object, int]:
    # A transaction that only moves refs has a verdict for itself and no write.
    return {write.key: verdict.revision for write, verdict in zip(overlay.writes, verdicts, strict=False)}


def _results(run: _Run, outcomes: Outcomes, revisions: Sequence[int] | dict[object, int]) -> Sequence[OperationResult]:
    results = []
    for index, (operation, outcome) in enumerate(zip(run.request.operations, outcomes, strict=True)):
        if isinstance(outcome, ApiError):
            results.append(OperationResult(operation, "failed", error=outcome.status()))
            continue
        if isinstance(revisions, dict):
            revision = revisions.get(outcome.key, 0) if outcome.write is not None else 0
        else:
            revision = revisions[index] if revisions else 0
        shown = revision or (outcome.current.revision if outcome.current is not None else 0)
        data = outcome.data(revision)
        results.append(OperationResult(operation, outcome.action, shown, outcome.key.name, outcome.uid, data))
    return results


def _verdict_error(overlay: Overlay, outcomes: Outcomes, verdicts: Sequence[Verdict]) -> ApiError:
    """Why the store refused, for when trying again does not help."""
    planned = [outcome for outcome in outcomes if not isinstance(outcome, ApiError)]
    by_key = {each.key: each for outcome in planned for each in (*outcome.companions, outcome)}
    for write, verdict in zip(overlay.writes, verdicts, strict=False):
        if verdict.outcome in (Outcome.WRITTEN, Outcome.ABORTED):
            continue
        if verdict.outcome is Outcome.PRECONDITION:
            return ApiError(409, f"a precondition of the transaction does not hold: {verdict.detail}")
        return refusal(by_key[write.key], verdict)
    detail = next((verdict.detail for verdict in verdicts if verdict.detail), "")
    return ApiError(409, f"a precondition of the transaction does not hold: {detail}")


def _failed(error: ApiError) -> TransactionResult:
    return TransactionResult(False, 0, (), error.status())


def _too_many(count: int) -> ApiError:
    return ApiError(
        413, f"Request entity too large: a transaction holds at most {MAX_OPERATIONS} operations, not {count}"
    )


def _check_size(overlay: Overlay) -> None:
    size = sum(len(write.encoded.body) for write in overlay.writes if write.encoded is not None)
    if size > MAX_TRANSACTION:
        text = f"Request entity too large: a transaction holds at most {MAX_TRANSACTION} bytes of objects, not {size}"
        raise ApiError(413, text)
