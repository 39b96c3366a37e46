"""Verification of the audit's chains: every hash is computed anew, and the first row of each chain that does not fit is named.

All chains are walked side by side in the order of time, which needs no sorting; a clock that was set back, or a server that
wrote a little late, makes rows come early, and those wait until the ones before them have come. Anchors (the heads of
servers' chains, told by the chain of commits) and the head on record show whether the end of a chain is missing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString

import orjson
import psycopg

from moorage.store.audit_hash import chained, first, row_digest, stamp
from moorage.store.contracts import Unavailable
from moorage.store.database import Connection

log = logging.getLogger("moorage.store.audit")

COMMITS = "commits"
EARLY = 10_000
"""Rows of one chain that may come before the one that is missing."""
AT_ONCE = 2_000

UNLIMITED = "SELECT set_config('statement_timeout', '0', false)"
CLUSTER = "SELECT uid FROM cluster"
HEAD = "SELECT seq, hash FROM audit_heads ORDER BY seq DESC LIMIT 1"
FLOORS = "SELECT chain, seq, hash FROM audit_floors"
COLUMNS: LiteralString = """
SELECT (extract(epoch FROM at) * 1000000)::bigint, chain, seq, server, request_id, actor, verb, storage_group, resource,
       subresource, namespace, name, source_commit, allowed, code, revision, old_digest, new_digest, detail::text, hash, at
FROM audit
"""
NEXT: LiteralString = f"""
{COLUMNS} WHERE at >= %s AND (at, chain, seq) > (%s, %s, %s) ORDER BY at, chain, seq LIMIT %s
"""
LATE: LiteralString = f"{COLUMNS} WHERE chain = %s AND seq BETWEEN %s AND %s ORDER BY seq"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a chain: from ``seq`` on it proves nothing. ``at`` is the row's time in seconds since the epoch, where
    there is a row.
    """

    chain: str
    seq: int
    what: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """``head`` is the newest position of the chain of commits: written down elsewhere, it proves later that nothing before it
    was changed.
    """

    rows: int
    chains: int
    head: tuple[int, str]
    problems: Sequence[Problem] = ()


@dataclass(slots=True)
class _Chain:
    seq: int
    hash: bytes
    early: dict[int, Sequence[Any]] = field(default_factory=dict)
    anchors: dict[int, str] = field(default_factory=dict)
    broken: bool = False


class Walk:
    """The state of a verification; pure, so that it can be fed with rows from anywhere.

    ``kept`` is a head that was written down elsewhere: who can write every table can compute a whole chain anew, but not one
    that still goes through it. ``head`` is the position on record of the chain of commits before the first row was read.
    """

    def __init__(
        self,
        cluster: str,
        floors: Sequence[tuple[str, int, bytes]],
        kept: tuple[int, str] | None = None,
        head: tuple[int, bytes] | None = None,
    ) -> None:
        self.rows = 0
        self.problems: list[Problem] = []
        self._cluster = cluster
        self._head = head
        self._chains = {chain: _Chain(seq, bytes(digest)) for chain, seq, digest in floors}
        self._floors = {chain: seq for chain, seq, _ in floors}
        self._kept = kept
        if kept is not None:
            self._check_kept(self._chain(COMMITS))

    @property
    def chains(self) -> int:
        """How many chains were seen."""
        return len(self._chains)

    def position(self, chain: str) -> tuple[int, bytes]:
        """Where a chain stands."""
        state = self._chain(chain)
        return state.seq, state.hash

    def take(self, row: Sequence[Any]) -> None:
        """The next row."""
        state = self._chain(row[1])
        self.rows += 1
        if state.broken:
            return
        if row[2] != state.seq + 1:
            self._out_of_order(state, row)
            return
        self._check(state, row)
        while (waiting := state.early.pop(state.seq + 1, None)) is not None:
            # Where it breaks the chain, nothing waits any more.
            self._check(state, waiting)

    def gaps(self) -> Sequence[tuple[str, int, int]]:
        """(chain, first, last) of the rows for which others wait."""
        waiting = ((name, state) for name, state in self._chains.items() if state.early)
        return [(name, state.seq + 1, min(state.early) - 1) for name, state in waiting]

    def finish(self, last: tuple[int, bytes] | None) -> None:
        """All rows were taken; ``last`` is the position on record of the chain of commits after that."""
        for name, state in self._chains.items():
            if state.broken:
                continue
            if state.early:
                self._gap(name, state)
            elif state.anchors:
                told = max(state.anchors)
                what = f"its end is missing: rows up to {told} were there when a commit told of them"
                self._found(state, Problem(name, state.seq + 1, what))
        state = self._chain(COMMITS)
        if state.broken:
            return
        if self._head is None or last is None:
            self._found(state, Problem(COMMITS, state.seq, "the head on record is missing"))
        elif self._head[0] > state.seq:
            what = f"its end is missing: the head on record is {self._head[0]}"
            self._found(state, Problem(COMMITS, state.seq + 1, what))
        elif state.seq > last[0]:
            self._found(state, Problem(COMMITS, last[0] + 1, "rows after the head on record"))
        elif self._kept is not None:
            self._check_reached(state, self._kept[0])

    def _chain(self, name: str) -> _Chain:
        if name not in self._chains:
            self._chains[name] = _Chain(0, first(self._cluster, name))
        return self._chains[name]

    def _out_of_order(self, state: _Chain, row: Sequence[Any]) -> None:
        if row[2] <= state.seq:
            self._found(state, Problem(row[1], row[2], "a second row with this number", row[0] / 1e6))
            return
        state.early[row[2]] = row
        if len(state.early) > EARLY:
            self._gap(row[1], state)

    def _gap(self, name: str, state: _Chain) -> None:
        until = min(state.early) - 1
        numbers = f"row {state.seq + 1} is" if until == state.seq + 1 else f"rows {state.seq + 1} to {until} are"
        self._found(state, Problem(name, state.seq + 1, f"{numbers} missing", state.early[until + 1][0] / 1e6))

    def _check(self, state: _Chain, row: Sequence[Any]) -> None:
        micros, name, seq, server, *fields = row
        revision, old, new, detail, digest = fields[11:16]
        own = row_digest(*fields[:11], detail)
        expected = chained(state.hash, own, seq, stamp(micros, server), revision, _bytes(old), _bytes(new))
        if expected != bytes(digest):
            what = "the row, or the one before it, is not what was written"
            self._found(state, Problem(name, seq, what, micros / 1e6))
            return
        state.seq, state.hash = seq, expected
        if name == COMMITS:
            self._check_kept(state)
            if self._head is not None and self._head[0] == seq and bytes(self._head[1]) != expected:
                self._found(state, Problem(name, seq, "the row is not the one of the head on record"))
        self._check_anchor(name, state, state.anchors.pop(seq, None))
        if name == COMMITS and fields[2] == "anchor":
            self._anchor(detail)

    def _anchor(self, detail: str) -> None:
        told = orjson.loads(detail)
        name, seq = told["chain"], told["seq"]
        if seq <= self._floors.get(name, 0):
            return
        state = self._chain(name)
        if seq > state.seq:
            state.anchors[seq] = told["hash"]
        elif seq == state.seq:
            self._check_anchor(name, state, told["hash"])

    def _check_kept(self, state: _Chain) -> None:
        if self._kept is not None and self._kept[0] == state.seq and self._kept[1] != state.hash.hex():
            what = "the row is not the one whose head was kept: the chain was computed anew"
            self._found(state, Problem(COMMITS, state.seq, what))

    def _check_reached(self, state: _Chain, seq: int) -> None:
        if seq > state.seq:
            self._found(state, Problem(COMMITS, state.seq + 1, f"its end is missing: the head that was kept is {seq}"))
        elif seq < self._floors.get(COMMITS, 0):
            what = "the head that was kept is older than what is still there: it proves nothing any more"
            self._found(state, Problem(COMMITS, seq, what))

    def _check_anchor(self, name: str, state: _Chain, told: str | None) -> None:
        if told is not None and told != state.hash.hex():
            what = "the row is not the one that a commit told of"
            self._found(state, Problem(name, state.seq, what))

    def _found(self, state: _Chain, problem: Problem) -> None:
        state.broken = True
        state.early.clear()
        self.problems.append(problem)


def _bytes(digest: Any) -> bytes | None:
    return None if digest is None else bytes(digest)


async def verify(
    connection: Connection, progress: Callable[[int], None] | None = None, kept: tuple[int, str] | None = None
) -> Report:
    """Read everything up to now and check it. Raises Unavailable.

    Each part is read by itself: a snapshot of minutes would keep PostgreSQL from cleaning up behind the commits. The end is
    read first, and rows are only ever added before it.
    """
    try:
        await connection.execute(UNLIMITED)
        while True:
            floors = await (await connection.execute(FLOORS)).fetchall()
            walk = await _walked(connection, floors, progress, kept)
            # Where the oldest day was dropped meanwhile, its rows seem to be missing.
            if floors == await (await connection.execute(FLOORS)).fetchall():
                break
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL went away: {error}") from error
    seq, digest = walk.position(COMMITS)
    log.info("audit verified", extra={"action": "verify", "rows": walk.rows, "problems": len(walk.problems)})
    return Report(walk.rows, walk.chains, (seq, digest.hex()), walk.problems)


async def _walked(
    connection: Connection,
    floors: Sequence[tuple[str, int, bytes]],
    progress: Callable[[int], None] | None,
    kept: tuple[int, str] | None,
) -> Walk:
    cluster = await (await connection.execute(CLUSTER)).fetchone()
    assert cluster is not None
    walk = Walk(cluster[0], floors, kept, await (await connection.execute(HEAD)).fetchone())
    await _walk(connection, walk, progress)
    await _take_late(connection, walk)
    walk.finish(await (await connection.execute(HEAD)).fetchone())
    return walk


async def _walk(connection: Connection, walk: Walk, progress: Callable[[int], None] | None) -> None:
    at, chain, seq = datetime(1970, 1, 1, tzinfo=UTC), "", 0
    cursor = connection.cursor(binary=True)
    while True:
        found = await (await cursor.execute(NEXT, (at, at, chain, seq, AT_ONCE))).fetchall()
        for row in found:
            walk.take(row)
        if progress is not None:
            progress(walk.rows)
        if len(found) < AT_ONCE:
            return
        chain, seq, at = found[-1][1], found[-1][2], found[-1][-1]
        # Hashing is work for the processor: others get the event loop in between.
        await asyncio.sleep(0)


async def _take_late(connection: Connection, walk: Walk) -> None:
    """Rows that a server wrote behind the place where the walk was: what it has gathered is a little older than it is there."""
    gaps: Sequence[tuple[str, int, int]] = ()
    while gaps != (gaps := walk.gaps()):
        for gap in gaps:
            cursor = connection.cursor(binary=True)
            for row in await (await cursor.execute(LATE, gap)).fetchall():
                walk.take(row)
