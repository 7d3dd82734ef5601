"""Bars of what a market traded: their sums, their spans, and the windows made of them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timezone

import pytest
from mdp.sim.market import Market, Trade
from mdp.sim.tape import INTERVALS_S, Bar, Tape, span_end, span_start
from mdp.sim.wire.binance.instruments import BUILT_IN, FAMILY_INSTRUMENTS

MONDAY_S = 1_767_571_200  # 2026-01-05 00:00 UTC


def taped(times_s, prices=None, spec=BUILT_IN[0]):
    """A tape with one trade of three lots at each time."""
    tape = Tape(spec)
    for index, at_s in enumerate(times_s):
        price = prices[index] if prices else 100 + index
        tape.record(Trade(index + 1, price, 3, index % 2 == 0, index), round(at_s * 1_000_000))
    return tape


def utc(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


@pytest.mark.parametrize(
    ("interval", "at", "start", "end"),
    [
        ("1s", "2026-01-07T13:45:59", "2026-01-07T13:45:59", "2026-01-07T13:46:00"),
        ("3m", "2026-01-07T13:46:59", "2026-01-07T13:45:00", "2026-01-07T13:48:00"),
        ("12h", "2026-01-07T13:46:59", "2026-01-07T12:00:00", "2026-01-08T00:00:00"),
        ("1d", "2026-01-07T23:59:59", "2026-01-07T00:00:00", "2026-01-08T00:00:00"),
        ("1w", "2026-01-11T23:59:59", "2026-01-05T00:00:00", "2026-01-12T00:00:00"),
        ("1w", "2026-01-12T00:00:00", "2026-01-12T00:00:00", "2026-01-19T00:00:00"),
        ("1M", "2026-02-28T23:59:59", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ("1M", "2026-12-01T00:00:00", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_spans_begin_and_end_where_the_calendar_says(interval, at, start, end):
    assert span_start(interval, utc(at)) == utc(start)
    assert span_end(interval, utc(start)) == utc(end)


@pytest.mark.parametrize("interval", INTERVALS_S)
@pytest.mark.parametrize("zone_s", [0, 8 * 3600, -12 * 3600])
def test_spans_of_any_zone_follow_each_other_without_a_hole(interval, zone_s):
    at = span_start(interval, MONDAY_S + 12_345, zone_s)
    for _ in range(40):
        end = span_end(interval, at, zone_s)
        assert span_start(interval, end - 1, zone_s) == at and span_start(interval, end, zone_s) == end
        at = end


def test_day_of_another_zone_begins_at_its_midnight():
    assert span_start("1d", utc("2026-01-07T17:00:00"), 8 * 3600) == utc("2026-01-07T16:00:00")


def test_bar_has_the_sums_of_its_trades():
    tape = taped([MONDAY_S, MONDAY_S + 1, MONDAY_S + 59.9], prices=[100, 90, 95])
    (bar,) = tape.klines("1m", MONDAY_S + 59, limit=10)
    assert bar == Bar(
        MONDAY_S,
        open=100,
        high=100,
        low=90,
        close=95,
        lots=9,
        taker_buy_lots=3,
        turnover=3 * (100 + 90 + 95),
        taker_buy_turnover=3 * 90,
        count=3,
        first_id=1,
        last_id=3,
    )


def test_span_without_a_trade_is_flat_at_the_close_before():
    tape = taped([MONDAY_S, MONDAY_S + 240], prices=[100, 70])
    bars = tape.klines("1m", MONDAY_S + 320, limit=10)
    assert [bar.start_s - MONDAY_S for bar in bars] == [0, 60, 120, 180, 240, 300]
    assert [bar.close for bar in bars] == [100, 100, 100, 100, 70, 70]
    assert bars[1] == Bar(MONDAY_S + 60, 100, 100, 100, 100) and bars[1].count == 0
    # A window that begins in the quiet still knows the close before it.
    late = tape.klines("1m", MONDAY_S + 320, limit=2, start_s=MONDAY_S + 100)
    assert [(bar.start_s - MONDAY_S, bar.open) for bar in late] == [(120, 100), (180, 100)]


def test_limit_takes_the_newest_or_with_a_start_the_oldest():
    tape = taped([MONDAY_S + 60 * minute for minute in range(10)])
    now = MONDAY_S + 9 * 60 + 30

    def minutes(**asked):
        return [(bar.start_s - MONDAY_S) // 60 for bar in tape.klines("1m", now, **asked)]

    assert minutes(limit=3) == [7, 8, 9]
    assert minutes(limit=3, start_s=MONDAY_S + 61) == [2, 3, 4]
    assert minutes(limit=3, end_s=MONDAY_S + 300) == [3, 4, 5]
    assert minutes(limit=9, start_s=MONDAY_S + 120, end_s=MONDAY_S + 239) == [2, 3]
    assert minutes(limit=3, start_s=MONDAY_S + 6000) == []
    assert minutes(limit=100, start_s=0) == list(range(10))


def test_longer_intervals_add_up_what_shorter_ones_have():
    spec = BUILT_IN[0]
    market, tape = Market(spec, 5), Tape(spec)
    at_us = MONDAY_S * 1_000_000
    for _ in range(400):
        at_us += 1_700_000
        for event in market.advance(40):
            if isinstance(event, Trade):
                tape.record(event, at_us)
    now = at_us // 1_000_000
    minutes = tape.klines("1m", now, limit=1000)
    for interval in ("5m", "15m", "1h", "1d", "1w", "1M"):
        sums = defaultdict(lambda: [0, 0, 0, 0])
        for bar in minutes:
            for place, value in enumerate((bar.lots, bar.turnover, bar.count, bar.taker_buy_lots)):
                sums[span_start(interval, bar.start_s)][place] += value
        bars = tape.klines(interval, now, limit=1000)
        assert [[bar.lots, bar.turnover, bar.count, bar.taker_buy_lots] for bar in bars] == list(
            sums.values()
        )
        assert (bars[0].open, bars[-1].close) == (minutes[0].open, minutes[-1].close)
        assert max(bar.high for bar in bars) == max(bar.high for bar in minutes)
        assert min(bar.low for bar in bars) == min(bar.low for bar in minutes)
    seconds = tape.klines("1s", now, limit=1000)
    assert sum(bar.count for bar in seconds) == sum(bar.count for bar in minutes)


def test_window_begins_at_a_minute_or_at_the_second_itself():
    tape = taped([MONDAY_S, MONDAY_S + 61, MONDAY_S + 62, MONDAY_S + 125], prices=[10, 20, 30, 40])
    whole = tape.window(MONDAY_S + 62)
    assert (whole.open, whole.count, whole.start_s) == (20, 3, MONDAY_S + 60)
    exact = tape.window(MONDAY_S + 62, seconds=True)
    assert (exact.open, exact.count, exact.first_id, exact.last_id) == (30, 2, 3, 4)
    assert tape.close_before(MONDAY_S + 62) == 10 and tape.close_before(MONDAY_S) is None
    assert tape.window(MONDAY_S + 200) is None


def test_clock_that_goes_back_makes_no_bar_out_of_order():
    tape = taped([MONDAY_S + 120, MONDAY_S + 30, MONDAY_S + 121])
    bars = tape.klines("1m", MONDAY_S + 130, limit=10)
    assert [(bar.start_s, bar.count) for bar in bars] == [(MONDAY_S + 120, 3)]


def test_coin_margined_turnover_is_in_the_base_asset():
    spec = FAMILY_INSTRUMENTS["binance-coinm"][0]
    # Seven contracts of 100 USD at 60,000.0: 0.01166666 of a bitcoin.
    assert Tape(spec).turnover(600_000, 7) == 1_166_666
