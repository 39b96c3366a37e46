"""Counters and histograms in the Prometheus text format (exposition format 0.0.4), kept in plain dictionaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from moorage.store.histogram import SECONDS, SIZES, Histogram


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
            histogram = self._latencies[verb, resource] = Histogram(SECONDS)
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
