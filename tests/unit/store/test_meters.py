from __future__ import annotations

from moorage.store.contracts import Outcome, Verdict
from moorage.store.histogram import Histogram
from moorage.store.meters import StoreMeters


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((1, 2.5))
    for value in (0.5, 1, 2, 9):
        histogram.observe(value)
    assert list(histogram.lines("x", 'a="b",')) == [
        'x_bucket{a="b",le="1"} 2',
        'x_bucket{a="b",le="2.5"} 3',
        'x_bucket{a="b",le="+Inf"} 4',
        'x_sum{a="b"} 12.500000',
        'x_count{a="b"} 4',
    ]
    assert list(Histogram(()).lines("x")) == ['x_bucket{le="+Inf"} 0', "x_sum 0.000000", "x_count 0"]


def test_what_became_of_writes_is_counted_by_outcome_and_every_outcome_is_there_from_the_start() -> None:
    meters = StoreMeters(lambda: 3, lambda: (7, 2))
    empty = set(meters.lines())
    assert 'moorage_store_writes_total{outcome="quota"} 0' in empty
    meters.decided(
        [Verdict(Outcome.WRITTEN, 5), Verdict(Outcome.QUOTA, 0, "[]"), Verdict(Outcome.QUOTA, 0, "[]")], 0.004
    )
    meters.losses += 1
    lines = set(meters.lines())
    assert {
        'moorage_store_writes_total{outcome="quota"} 2',
        'moorage_store_writes_total{outcome="written"} 1',
        'moorage_store_batch_members_bucket{le="4"} 1',
        'moorage_store_commit_seconds_bucket{le="0.005"} 1',
        "moorage_store_queued_requests 3",
        "moorage_store_lost_connections_total 1",
        "moorage_audit_waiting_rows 7",
        "moorage_audit_lost_rows_total 2",
    } <= lines
    # No series comes into being by what happens: their number is fixed.
    assert {line.rpartition(" ")[0] for line in lines if line[0] != "#"} == {
        line.rpartition(" ")[0] for line in empty if line[0] != "#"
    }
