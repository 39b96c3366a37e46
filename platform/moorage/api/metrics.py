"""Counters and histograms in the Prometheus text format (exposition format 0.0.4), kept in plain dictionaries."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 5000)


class Histogram:
    """Observations by upper bound."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """The text form; ``labels`` is ``a="b",`` or empty."""
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        count = 0
        for bound, count in zip(bounds, accumulate(self.counts), strict=True):
            yield f'{name}_bucket{{{labels}le="{bound}"}} {count}'
        plain = f"{{{labels.rstrip(',')}}}" if labels else ""
        yield f"{name}_sum{plain} {self.total:.6f}"
        yield f"{name}_count{plain} {count}"


class Metrics:
    """What ``/metrics`` shows of the API server."""

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, str, str, int], int] = defaultdict(int)
        self._latencies: dict[tuple[str, str], Histogram] = {}
        self.transaction_sizes = Histogram(SIZES)
        self.watchers: defaultdict[str, int] = defaultdict(int)

    def observe(self, verb: str, group: str, resource: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests[verb, group, resource, code] += 1
        histogram = self._latencies.get((verb, resource))
        if histogram is None:
            histogram = self._latencies[verb, resource] = Histogram(BUCKETS)
        histogram.observe(seconds)

    def lines(self) -> Iterator[str]:
        """The text form."""
        yield "# HELP moorage_api_requests_total Answered requests."
        yield "# TYPE moorage_api_requests_total counter"
        for (verb, group, resource, code), count in sorted(self._requests.items()):
            labels = f'verb="{verb}",group="{group}",resource="{resource}",code="{code}"'
            yield f"moorage_api_requests_total{{{labels}}} {count}"
        yield "# HELP moorage_api_request_seconds Time from request to answer; of watches, to their end."
        yield "# TYPE moorage_api_request_seconds histogram"
        for (verb, resource), histogram in sorted(self._latencies.items()):
            yield from histogram.lines("moorage_api_request_seconds", f'verb="{verb}",resource="{resource}",')
        yield "# HELP moorage_api_watchers Open watches."
        yield "# TYPE moorage_api_watchers gauge"
        for resource, count in sorted(self.watchers.items()):
            yield f'moorage_api_watchers{{resource="{resource}"}} {count}'
        yield "# HELP moorage_api_transaction_operations Operations of one transaction or batch."
        yield "# TYPE moorage_api_transaction_operations histogram"
        yield from self.transaction_sizes.lines("moorage_api_transaction_operations", "")
