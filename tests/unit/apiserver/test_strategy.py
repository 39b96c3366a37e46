"""Names, uids and what an update cannot change."""

from __future__ import annotations

import re
import uuid

from moorage.api.writing.strategy import generate_name, new_uid


def test_uids_are_random_uuids() -> None:
    uids = {new_uid() for _ in range(2000)}
    assert len(uids) == 2000
    for text in uids:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)


def test_generated_names_spell_no_word_and_stay_labels() -> None:
    for base in ("web-", "x" * 70):
        name = generate_name(base)
        assert len(name) <= 63
        assert name.startswith(base[:58])
        assert re.fullmatch(r"[bcdfghjklmnpqrstvwxz2456789]{5}", name[-5:])
