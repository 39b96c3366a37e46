"""Expectations, in virtual time."""

from __future__ import annotations

import asyncio

from moorage.client.expectations import TIMEOUT, Expectations
from tests.support import virtual


def test_creations_are_counted_and_deletions_known_by_uid() -> None:
    async def main() -> None:
        expected = Expectations()
        assert expected.satisfied("rs")
        expected.expect("rs", creations=2)
        expected.created("rs")
        assert not expected.satisfied("rs")
        expected.created("rs")
        assert expected.satisfied("rs")
        expected.expect("rs", deletions=["u1", "u2"])
        expected.deleted("rs", "u1")
        expected.deleted("rs", "u1")
        assert not expected.satisfied("rs")
        expected.deleted("rs", "u2")
        assert expected.satisfied("rs")

    virtual.run(main())


def test_an_expectation_that_is_never_met_is_given_up() -> None:
    async def main() -> None:
        expected = Expectations()
        expected.expect("rs", creations=1)
        await asyncio.sleep(TIMEOUT - 1)
        assert not expected.satisfied("rs")
        await asyncio.sleep(2)
        assert expected.satisfied("rs")

    virtual.run(main())
