"""The chaos tests' own model: it must catch a lost acknowledged write, and must not cry wolf over an unanswered one."""

from __future__ import annotations

from tests.chaos.model import ABSENT, GRACE, Name


def test_an_acknowledged_write_must_be_there() -> None:
    name = Name()
    name.answer(1)
    assert name.allows(1)
    assert not name.allows(ABSENT)


def test_an_unanswered_write_may_be_there_or_not() -> None:
    name = Name()
    name.answer(1)
    name.lose(2, now=0)
    assert name.allows(1)
    assert name.allows(2)
    assert not name.allows(3)


def test_an_unanswered_write_may_still_appear_shortly_after_a_read_but_not_later() -> None:
    name = Name()
    name.answer(1)
    name.lose(2, now=0)
    name.learn(1, now=1)
    assert name.allows(2)
    name.learn(1, now=GRACE + 1)
    assert not name.allows(2)


def test_what_was_read_must_stay() -> None:
    name = Name()
    name.lose(2, now=0)
    name.learn(2, now=GRACE + 1)
    assert not name.allows(ABSENT)
