"""Which partitions are missing."""

from __future__ import annotations

import pytest

from moorage.store.partitions import missing


@pytest.mark.parametrize(
    ("bounds", "following", "ahead", "expected"),
    [
        ([], 2, 0, [(1, 10)]),
        ([], 2, 2, [(1, 10), (10, 20), (20, 30)]),
        ([(1, 10), (10, 20)], 5, 1, []),
        ([(1, 10), (10, 20)], 15, 1, [(20, 30)]),
        # The size was another one before.
        ([(1, 16)], 15, 1, [(16, 20)]),
        # After a jump the next ones begin where the revisions do, and do not reach into those that exist.
        ([(1, 10)], 1000, 1, [(1000, 1010), (1010, 1020)]),
        ([(1, 10), (15, 20)], 10, 1, [(10, 15)]),
    ],
)
def test_missing(bounds: list[tuple[int, int]], following: int, ahead: int, expected: list[tuple[int, int]]) -> None:
    assert missing(bounds, following, 10, ahead) == expected
