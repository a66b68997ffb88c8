"""Page tokens: only ours, only for the request they came with."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.control.v1 import tenant_service_pb2 as pb
from shared.runtime.context import CallContext, use
from shared.runtime.errors import InvalidArgument
from shared.runtime.paging import PageTokens, Value, page_size

TOKENS = PageTokens(b"k" * 32)
_values = st.text() | st.integers() | st.datetimes(timezones=st.just(UTC))
_texts = st.text(st.characters(blacklist_categories=["Cs"]))


@given(st.lists(_values, max_size=4), _texts)
def test_a_token_gives_back_its_cursor(cursor: list[Value], filter: str) -> None:
    request = pb.ListTenantsRequest(filter=filter, page_size=7)
    token = TOKENS.issue(cursor, request)
    assert token.isascii() and not set(token) & set("+/= ")
    again = pb.ListTenantsRequest(filter=filter, page_size=100, page_token=token)
    assert TOKENS.read(token, again) == cursor


@given(st.lists(_values, min_size=1, max_size=3), st.data())
def test_a_token_with_one_bit_turned_is_refused(cursor: list[Value], data: st.DataObject) -> None:
    token = TOKENS.issue(cursor, "x")
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidArgument, match="PAGE_TOKEN_INVALID"):
        TOKENS.read(base64.urlsafe_b64encode(raw).decode().rstrip("="), "x")


@given(st.text(min_size=1))
def test_any_other_text_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match="PAGE_TOKEN_INVALID"):
        TOKENS.read(token, "x")


def test_a_token_of_another_request_tenant_or_key_is_refused() -> None:
    request = pb.ListTenantsRequest(filter="state = ACTIVE")
    with use(CallContext(tenant_id="a")):
        token = TOKENS.issue(["acme"], request)
        assert TOKENS.read(token, request) == ["acme"]
        others: list[pb.ListTenantsRequest | str] = [
            pb.ListTenantsRequest(filter="state = DRAFT"),
            pb.ListTenantsRequest(filter="state = ACTIVE", order_by="code"),
            pb.ListTenantsRequest(filter="state = ACTIVE", show_deleted=True),
            "state = ACTIVE",
        ]
        for other in others:
            with pytest.raises(InvalidArgument):
                TOKENS.read(token, other)
        with pytest.raises(InvalidArgument):
            PageTokens(b"l" * 32).read(token, request)
    with use(CallContext(tenant_id="b")), pytest.raises(InvalidArgument):
        TOKENS.read(token, request)


def test_the_first_page_has_no_token() -> None:
    assert TOKENS.read("", "x") is None


def test_a_moment_keeps_its_microseconds() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert TOKENS.read(TOKENS.issue([moment], "x"), "x") == [moment]


@pytest.mark.parametrize("requested, given_", [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_is_as_large_as_asked_within_bounds(requested: int, given_: int) -> None:
    assert page_size(requested) == given_


def test_a_negative_page_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="PAGE_SIZE_INVALID"):
        page_size(-1)
