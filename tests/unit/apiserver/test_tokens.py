"""Continue tokens come back as they were given, and nothing else is one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api.errors import ApiError
from moorage.api.tokens import Continue, ExpiredList, decode


@given(st.builds(Continue, st.integers(-1, 2**62), st.text(max_size=63), st.text(max_size=253), st.integers(-1, 2**31)))
def test_a_token_is_read_as_it_was_written(token: Continue) -> None:
    assert decode(token.encode()) == token


@pytest.mark.parametrize(
    "text",
    ["x", "!!!!", "", base64.b64encode(b"{}").decode(), base64.b64encode(b"[9,1,\"\",\"\",0]").decode(),
     base64.b64encode(b"[1,\"1\",\"\",\"\",0]").decode(), base64.b64encode(b"[1,true,\"\",\"\",0]").decode(), "é"],
)  # fmt: skip
def test_what_is_no_token_is_400(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode(text)
    assert caught.value.code == 400
    assert "continue key is not valid" in caught.value.message


def test_an_expired_list_offers_a_way_to_go_on() -> None:
    status = ExpiredList(Continue(5, "a", "b", 7)).status()
    assert (status["code"], status["reason"]) == (410, "Expired")
    metadata = status["metadata"]
    assert isinstance(metadata, dict)
    assert decode(metadata["continue"]) == Continue(-1, "a", "b", -1)
