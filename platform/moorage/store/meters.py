"""What ``/metrics`` shows of the store. Labels are outcomes only: their number is fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from moorage.store.contracts import Outcome, Verdict
from moorage.store.histogram import SECONDS, SIZES, Histogram


class StoreMeters:
    """Counted by the committer. ``queued`` tells how many requests wait, ``audit`` how many rows wait and were lost."""

    def __init__(self, queued: Callable[[], int], audit: Callable[[], tuple[int, int]]) -> None:
        self._queued = queued
        self._audit = audit
        self.members = Histogram(SIZES)
        self.commit = Histogram(SECONDS)
        self.waited = Histogram(SECONDS)
        self.losses = 0
        """Connections that were lost in the middle of a commit."""
        self._outcomes: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))

    def decided(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """A batch was decided, ``seconds`` after it was sent."""
        self.members.observe(len(verdicts))
        self.commit.observe(seconds)
        self._outcomes.update(verdict.outcome for verdict in verdicts)

    def lines(self) -> Iterator[str]:
        """The text form."""
        yield from _head(
            "moorage_store_batch_members", "histogram", "Writes that were committed by one call of the database."
        )
        yield from self.members.lines("moorage_store_batch_members")
        yield from _head("moorage_store_commit_seconds", "histogram", "Time of one call of the commit function.")
        yield from self.commit.lines("moorage_store_commit_seconds")
        yield from _head(
            "moorage_store_wait_seconds", "histogram", "Time that a request waited for its batch to be sent."
        )
        yield from self.waited.lines("moorage_store_wait_seconds")
        yield from _head(
            "moorage_store_writes_total", "counter", "Writes by what became of them; quota is a quota's refusal."
        )
        for outcome in Outcome:
            yield f'moorage_store_writes_total{{outcome="{outcome}"}} {self._outcomes[outcome]}'
        waiting, lost = self._audit()
        for name, kind, text, value in (
            ("moorage_store_queued_requests", "gauge", "Requests that wait for their batch.", self._queued()),
            ("moorage_store_lost_connections_total", "counter", "Connections lost during a commit.", self.losses),
            ("moorage_audit_waiting_rows", "gauge", "Rows of reads and refusals that are not written yet.", waiting),
            (
                "moorage_audit_lost_rows_total",
                "counter",
                "Rows that could not be kept while the database was away.",
                lost,
            ),
        ):
            yield from _head(name, kind, text)
            yield f"{name} {value}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
