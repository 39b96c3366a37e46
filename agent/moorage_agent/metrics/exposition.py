"""Counters, gauges and histograms, and the text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]
Sample = tuple[Mapping[str, str], float]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def family(name: str, kind: str, text: str, samples: Iterable[Sample], at: float | None = None) -> Iterator[str]:
    """The lines of one family; none where there are no samples. ``at`` is when they were taken, in seconds."""
    stamp = "" if at is None else f" {int(at * 1000)}"
    for number, (labels, value) in enumerate(samples):
        if not number:
            yield f"# HELP {name} {text}"
            yield f"# TYPE {name} {kind}"
        yield f"{name}{_labels(labels)} {_number(value)}{stamp}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))


@dataclass
class Counter:
    """What only grows, by the values of ``labels``."""

    name: str
    text: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def drop(self, position: int, value: str) -> None:
        """Forget all whose label at ``position`` is ``value``."""
        self.values = {key: amount for key, amount in self.values.items() if key[position] != value}

    def lines(self) -> Iterator[str]:
        """The text form."""
        samples = ((dict(zip(self.labels, key, strict=True)), self.values[key]) for key in sorted(self.values))
        return family(self.name, "counter", self.text, samples)


@dataclass
class Histogram:
    """How often a value was at most each of ``bounds``, by the values of ``labels``."""

    name: str
    text: str
    bounds: Sequence[float]
    labels: Labels = ()
    counts: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] = self.sums.get(labels, 0.0) + value

    def drop(self, position: int, value: str) -> None:
        """Forget all whose label at ``position`` is ``value``."""
        self.counts = {key: counts for key, counts in self.counts.items() if key[position] != value}
        self.sums = {key: total for key, total in self.sums.items() if key[position] != value}

    def lines(self) -> Iterator[str]:
        """The text form: buckets add up."""
        if self.counts:
            yield f"# HELP {self.name} {self.text}"
            yield f"# TYPE {self.name} histogram"
        for key in sorted(self.counts):
            labels = dict(zip(self.labels, key, strict=True))
            total = 0
            for bound, count in zip([*map(_number, self.bounds), "+Inf"], self.counts[key], strict=True):
                total += count
                yield f"{self.name}_bucket{_labels({**labels, 'le': bound})} {total}"
            yield f"{self.name}_sum{_labels(labels)} {_number(self.sums[key])}"
            yield f"{self.name}_count{_labels(labels)} {total}"
