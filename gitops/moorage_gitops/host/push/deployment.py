"""What a push does: plan for every application of the repository, try it dry, then pack, transaction, ref, in this order."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from moorage.api.contracts import TransactionRequest, TransactionResult
from moorage.api.errors import ApiError
from moorage.store.contracts import Key, OutcomeUnknown, Unavailable
from moorage_gitops.host.deploy import outcome, plain, plan, report, request
from moorage_gitops.host.deploy.outcome import Counts, Effect
from moorage_gitops.host.deploy.plan import Application, Plan
from moorage_gitops.host.deploy.problems import Refused, refuse
from moorage_gitops.host.deploy.request import Context, RefChange
from moorage_gitops.host.deploy.source import CommitReader
from moorage_gitops.host.git import refs
from moorage_gitops.host.git.process import GitError
from moorage_gitops.host.git.repositories import sync_packs
from moorage_gitops.host.host import Host
from moorage_gitops.host.http.access import Caller, Hosted
from moorage_gitops.host.push import commands, waiting
from moorage_gitops.host.push.commands import Command
from moorage_gitops.ownership import digest

logger = logging.getLogger(__name__)
Tell = Callable[[Iterable[str]], Awaitable[None]]
_ATTEMPTS = 3
_LOOK_UP_SECONDS = 30.0


class Deployment:
    """One push to one repository. ``validate`` and ``apply`` run under the repository's lock, in this order."""

    def __init__(
        self,
        host: Host,
        hosted: Hosted,
        repository: Path,
        applications: Sequence[Application],
        caller: Caller,
        url: str,
    ) -> None:
        self._host = host
        self._hosted = hosted
        self._repository = repository
        self._applications = applications
        now = datetime.datetime.now(datetime.UTC)
        self._context = Context(hosted, caller, url, now)
        self._options: frozenset[str] = frozenset()
        self._variables: Mapping[str, str] = {}
        self._plans: list[Plan] = []
        self._changes: list[RefChange] = []
        self._effects: list[list[Effect]] = []
        self._counts: list[Counts] = []
        self._digests: dict[Key, str] = {}
        self._revision = 0

    async def validate(
        self, asked: Sequence[Command], options: frozenset[str], variables: Mapping[str, str], tell: Tell
    ) -> list[str]:
        """Decide everything and write nothing. Returns what to tell. Raises Refused."""
        self._options = options
        # Quarantined objects are seen through these; afterwards they are where they belong.
        self._variables = {name: value for name, value in variables.items() if not name.startswith("GIT_PUSH_OPTION_")}
        commands.check(asked, {application.branch for application in self._applications} | {self._hosted.branch})
        self._changes = await self._ref_changes(asked)
        await self._make_plans()
        for made in self._plans:
            await tell(
                [
                    f"Moorage: {report.read(made)}",
                    *(f"Moorage: {line}" for line in report.skipped(made)),
                ]
            )
        await self._check_plain_secrets(tell)
        if not self._plans:
            return self._not_deployed(asked)
        await self._try_dry()
        await self._host.config.on_step("validated")
        if "dry-run" in options:
            lines = [
                line
                for made, found in zip(self._plans, self._effects, strict=True)
                for line in report.table(found, made)
            ]
            raise Refused(
                "dry run: nothing was changed",
                [*lines, "Moorage: dry run: nothing was applied and the branch did not move."],
            )
        return []

    async def apply(self, asked: Sequence[Command]) -> list[str]:
        """Make the pack durable, write the transaction, move the refs on disk. Returns what to tell. Raises Refused."""
        if {(command.ref, command.new) for command in asked} != {(change.ref, change.new) for change in self._changes}:
            raise Refused("these are not the refs that were validated")
        self._variables = {}
        await asyncio.to_thread(sync_packs, self._repository)
        await self._host.config.on_step("pack-durable")
        result = await self._transact()
        await self._host.config.on_step("committed")
        try:
            await refs.write(self._host.git, self._repository, {change.ref: change.new for change in self._changes})
        except GitError:
            # The row is the truth and has moved; the ref on disk is repaired before it is shown to anybody.
            logger.exception("%s: the refs on disk could not be written", self._repository.name)
        await self._host.config.on_step("ref-written")
        return self._told(result)

    async def wait(self, tell: Tell) -> None:
        """With ``-o wait``: tell how the applications fare until they are healthy."""
        if "wait" in self._options:
            for made in self._plans:
                owner = made.application.owner
                await waiting.until_healthy(
                    self._host.config.store,
                    owner,
                    made.commit,
                    self._revision,
                    self._host.config.limits.wait_seconds,
                    tell,
                )

    async def _ref_changes(self, asked: Sequence[Command]) -> list[RefChange]:
        rows = await self._rows()
        await self._check_targets(asked, rows)
        deployed = {application.branch for application in self._applications} | {self._hosted.branch}
        changes = []
        for command in asked:
            old = rows.get(command.ref, "")
            if command.branch in deployed and old and command.new:
                await self._check_forward(command, old)
            elif old != command.old:
                raise Refused(f"{command.ref} has moved meanwhile; fetch and push again")
            changes.append(RefChange(command.ref, old, command.new))
        return changes

    async def _check_targets(self, asked: Sequence[Command], rows: Mapping[str, str]) -> None:
        """What Git would refuse when the refs are written, which is too late: the transaction has been by then."""
        types = await refs.types(self._host.git, self._repository, [c.new for c in asked if c.new], self._variables)
        for command in asked:
            if command.branch and command.new and types.get(command.new) != "commit":
                raise Refused(f"the branch {command.branch} must point to a commit")
        after = {ref for ref in rows if ref not in {command.ref for command in asked}} | {c.ref for c in asked if c.new}
        for ref in sorted(after):
            parent = next((other for other in commands.parents(ref) if other in after), "")
            if parent:
                raise Refused(f"{ref} and {parent} cannot both be there; rename one")

    async def _check_forward(self, command: Command, old: str) -> None:
        follows = await refs.is_ancestor(self._host.git, self._repository, old, command.new, self._variables)
        if follows:
            return
        # Rewriting is allowed to who has seen what is being replaced, or where nobody can see it any more.
        seen = command.old == old or old not in await refs.types(
            self._host.git, self._repository, [old], self._variables
        )
        if "rewrite-history" not in self._options or not seen:
            raise commands.diverged(command.branch)

    async def _make_plans(self) -> None:
        self._plans = []
        config = self._host.config
        reader = CommitReader(self._host.git, self._repository, self._variables, config.manifest_limits)
        commits = {change.ref: change.new for change in self._changes if change.new}
        for application in self._applications:
            commit = commits.get(f"refs/heads/{application.branch}")
            if commit and not application.suspend:
                self._plans.append(
                    await plan.make(application, commit, reader, config.store, config.registry, self._options)
                )

    async def _check_plain_secrets(self, tell: Tell) -> None:
        """Raises Refused for Secrets in the clear, in any commit of the push, where the policy says so."""
        policy = await plain.policy_of(self._host.config.store, self._hosted.document)
        if policy == plain.ALLOW:
            await tell([f"Moorage: {line}" for made in self._plans for line in report.secrets(made)])
            return
        found = plain.Plain()
        for made in self._plans:
            plain.of_objects(made.desired, found)
        folders = {self._hosted.path, *(application.path for application in self._applications)}
        commits = [change.new for change in self._changes if change.new]
        history = plain.PushHistory(self._host.git, self._repository, self._variables)
        await history.search(commits, sorted(folders), self._hosted.namespace, found)
        if found.cut:
            await tell(["Moorage: the push is too large to look through its earlier commits for plain Secrets"])
        if found.problems and policy == plain.REFUSE:
            raise refuse(found.problems, found.advice())
        for problem in found.problems:
            await tell([f"Moorage: warning: {problem}"])
        await tell([f"Moorage:   {command}" for command in found.commands])

    async def _try_dry(self) -> None:
        for attempt in range(_ATTEMPTS):
            result = await self._send(
                request.build(self._context, self._plans, self._changes, [], [], {}, dry_run=True)
            )
            if not outcome.failed(result):
                self._effects = self._split(result)
                self._counts = [outcome.count(found) for found in self._effects]
                self._digests = self._owned(result)
                return
            if attempt + 1 < _ATTEMPTS and outcome.outdated(result, self._plans):
                await self._make_plans()
                continue
            raise refuse(outcome.problems(result, self._plans))

    async def _transact(self) -> TransactionResult | None:
        """The one transaction. None where it was committed but its answer was lost."""
        for _attempt in range(_ATTEMPTS):
            built = request.build(
                self._context,
                self._plans,
                self._changes,
                self._effects,
                self._counts,
                self._digests,
                dry_run=False,
            )
            try:
                result = await self._host.config.transactor.transact(self._context.caller.identity, built)
            except OutcomeUnknown:
                await self._look_up()
                return None
            except (Unavailable, ApiError) as error:
                raise Refused(f"nothing was applied: {error}") from error
            if not outcome.failed(result):
                self._revision = result.revision
                return result
            if result.error is not None and result.error.get("code") == 504:
                await self._look_up()
                return None
            if not outcome.outdated(result, self._plans):
                raise self._not_written(result)
            await self._make_plans()
            await self._try_dry()
        raise Refused("the objects keep changing; push again")

    def _not_written(self, result: TransactionResult) -> Refused:
        if (
            result.error is not None
            and result.error.get("code") == 409
            and not any(item.error for item in result.results)
        ):
            return Refused("somebody else pushed at the same time; fetch and push again")
        return refuse(outcome.problems(result, self._plans))

    async def _look_up(self) -> None:
        """The ref row tells whether a transaction without an answer was committed."""
        deadline = asyncio.get_running_loop().time() + _LOOK_UP_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            try:
                rows = await self._host.config.store.refs(self._hosted.uid)
            except (Unavailable, OutcomeUnknown):
                await asyncio.sleep(0.5)
                continue
            if all(rows.get(change.ref, "") == change.new for change in self._changes):
                return
            raise Refused("the database was lost while applying, and nothing was applied; push again")
        raise Refused(
            "the database cannot be reached, so it is not known whether this was applied; git fetch will show it"
        )

    async def _send(self, built: TransactionRequest) -> TransactionResult:
        try:
            return await self._host.config.transactor.transact(self._context.caller.identity, built)
        except (Unavailable, OutcomeUnknown, ApiError) as error:
            raise Refused(f"nothing was applied: {error}") from error

    async def _rows(self) -> Mapping[str, str]:
        try:
            return await self._host.config.store.refs(self._hosted.uid)
        except Unavailable as error:
            raise Refused("the database cannot be reached; nothing was applied, push again soon") from error

    def _split(self, result: TransactionResult) -> list[list[Effect]]:
        found, at = [], 0
        for made in self._plans:
            size = len(made.desired) + len(made.pruning.remove)
            found.append(outcome.effects(made, result.results[at : at + size]))
            at += size
        return found

    def _owned(self, result: TransactionResult) -> dict[Key, str]:
        """What server-side apply will own of each object: the same fields in the dry run and in the real one."""
        digests, at = {}, 0
        for made in self._plans:
            for item, applied in zip(made.desired, result.results[at:], strict=False):
                digests[item.key] = digest(document) if (document := applied.document) else ""
            at += len(made.desired) + len(made.pruning.remove)
        return digests

    def _told(self, result: TransactionResult | None) -> list[str]:
        if not self._plans:
            return []
        lines: list[str] = []
        for made, found in zip(self._plans, self._split(result) if result else self._effects, strict=True):
            owner = made.application.owner
            lines += report.table(found, made)
            at = f" at resourceVersion {result.revision}" if result else ""
            lines.append(
                f"Moorage: {owner.namespace}/{owner.name}: {report.summary(outcome.count(found))}, as one transaction{at}"
            )
        return [*lines, f"Moorage: watch it:  kubectl get applications -n {self._hosted.namespace}"]

    def _not_deployed(self, asked: Sequence[Command]) -> list[str]:
        suspended = [
            a for a in self._applications if a.suspend and any(command.branch == a.branch for command in asked)
        ]
        if suspended:
            return [
                f"Moorage: application {a.owner.name} is suspended; the branch moves, nothing is deployed"
                for a in suspended
            ]
        branches = sorted({application.branch for application in self._applications})
        return [f"Moorage: kept, not deployed; deployed is {', '.join(branches) or self._hosted.branch}"]
