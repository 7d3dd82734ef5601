"""Fixed-point numbers against Python's decimal: exact, or refused."""

from __future__ import annotations

import json
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp._core import Replay, ReplaySurvey, format_decimal, parse_decimal

MAX = 2**63 - 1
CONTEXT = Context(prec=200)


@pytest.mark.parametrize(
    ("text", "exponent", "mantissa"),
    [
        ("0", -8, 0),
        ("0.00000000", -8, 0),
        ("1", -8, 100_000_000),
        ("58005.11000000", -2, 5_800_511),
        ("58005.11000000", -8, 5_800_511_000_000),
        ("0.00000162", -8, 162),
        ("1000", 3, 1),
        ("-1.5", -1, -15),
        ("9223372036854775807", 0, MAX),
        ("92233720368.54775807", -8, MAX),
        ("0E-8", -8, 0),
        ("1e5", -8, 10_000_000_000_000),
        ("1.5E-3", -8, 150_000),
        ("-25E+1", 1, -25),
    ],
)
def test_parses_exactly(text: str, exponent: int, mantissa: int) -> None:
    assert parse_decimal(text, exponent) == mantissa


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "1x", "1,5", "1.2.3", "--1", "0x10", "nan", "inf", "1 ", " 1", "1e", "1E+", "e5", "1e5.0"],
)
def test_refuses_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        parse_decimal(text, -8)


@pytest.mark.parametrize(("text", "exponent"), [("0.001", -2), ("1", 1), ("0.000000001", -8), ("1.5", 0)])
def test_refuses_to_round(text: str, exponent: int) -> None:
    with pytest.raises(ValueError, match=f"has digits below 10\\^{exponent}"):
        parse_decimal(text, exponent)


@pytest.mark.parametrize(("text", "exponent"), [("9223372036854775808", 0), ("92233720369", -8)])
def test_refuses_what_does_not_fit(text: str, exponent: int) -> None:
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        parse_decimal(text, exponent)


@pytest.mark.parametrize(
    ("mantissa", "exponent", "text"),
    [
        (0, -8, "0"),
        (162, -8, "0.00000162"),
        (5_800_511_000_000, -8, "58005.11"),
        (-15, -1, "-1.5"),
        (1, 3, "1000"),
    ],
)
def test_formats_without_trailing_zeros(mantissa: int, exponent: int, text: str) -> None:
    assert format_decimal(mantissa, exponent) == text


@given(st.integers(-MAX, MAX), st.integers(-18, 8))
def test_format_is_exact(mantissa: int, exponent: int) -> None:
    text = format_decimal(mantissa, exponent)
    assert Decimal(text) == Decimal(mantissa).scaleb(exponent, CONTEXT)
    assert "e" not in text.lower()
    assert "." not in text or text[-1] not in "0."


@given(st.integers(-MAX, MAX), st.integers(-18, 8))
def test_parse_is_the_inverse_of_format(mantissa: int, exponent: int) -> None:
    assert parse_decimal(format_decimal(mantissa, exponent), exponent) == mantissa


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.integers(-12, 3),
)
def test_parse_agrees_with_decimal_or_refuses(text: str, exponent: int) -> None:
    scaled = Decimal(text).scaleb(-exponent, CONTEXT)
    whole = scaled == scaled.to_integral_value(context=CONTEXT)
    if whole and abs(scaled) <= MAX:
        assert parse_decimal(text, exponent) == int(scaled)
    else:
        with pytest.raises(
            ValueError, match="does not fit 64 bits" if whole else "does not fit|digits below"
        ):
            parse_decimal(text, exponent)


FILTERS = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.00000001"},
    {"filterType": "LOT_SIZE", "stepSize": "0.00000001"},
]
LISTED = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": FILTERS,
}


def quoted(numbers: list[str]) -> list[str] | None:
    """Send four numbers through the parser as the venue's quote; return what was published."""
    survey = ReplaySurvey("binance")
    survey.add_listed(json.dumps({"symbols": [LISTED]}).encode())
    seen = {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"}
    survey.frame(0, json.dumps(seen).encode())
    replay = Replay("binance", survey.found(), 1, event_lines=True)
    replay.frame(0, 1, json.dumps(seen | dict(zip("bBaA", numbers, strict=True))).encode())
    quotes = [json.loads(line) for line in replay.take_event_lines().splitlines() if b'"quote"' in line]
    assert len(quotes) + replay.summary().parse_errors == 1
    return [*quotes[0]["bids"][0], *quotes[0]["asks"][0]] if quotes else None


@given(
    st.lists(
        st.from_regex(r"(0|[1-9][0-9]{0,12})(\.[0-9]{1,11})?([eE][+-]?[0-9])?", fullmatch=True),
        min_size=4,
        max_size=4,
    )
)
def test_numbers_of_a_frame_agree_with_decimal_or_the_frame_is_refused(numbers: list[str]) -> None:
    exact = [Decimal(number) for number in numbers]
    if not all(exact):  # an empty side has other rules
        return
    mantissas = [number.scaleb(8, CONTEXT) for number in exact]
    fit = all(m == m.to_integral_value(context=CONTEXT) and m <= MAX for m in mantissas)
    published = quoted(numbers)
    assert (published is not None) == fit
    if published is not None:
        assert [Decimal(number) for number in published] == exact
