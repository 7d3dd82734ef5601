"""The synthetic market: its truth must hold before anything else is tested against it."""

from __future__ import annotations

import pytest
from mdp.sim.instruments import text_e8
from mdp.sim.market import ASK, BID, AggregateTrade, Market, OutsideHistoryError, SharedIds, Top, Trade
from mdp.sim.wire.binance.instruments import select_instruments

ALL = select_instruments(18)


@pytest.mark.parametrize("instrument", ALL, ids=lambda item: item.symbol)
def test_market_is_never_crossed_and_keeps_its_size(instrument):
    market = Market(instrument, seed=7)
    for _ in range(60):
        for event in market.advance(50):
            if isinstance(event, Top):
                assert event.bid_ticks < event.ask_ticks
                assert event.bid_lots > 0 and event.ask_lots > 0
    bids, asks = market.depth(5000)
    assert 200 <= len(bids) <= 2000 and 200 <= len(asks) <= 2000
    assert all(price > 0 and lots > 0 for price, lots in bids + asks)
    assert bids == sorted(bids, reverse=True) and asks == sorted(asks)


def test_market_is_the_same_whatever_the_step_sizes():
    one, other = Market(ALL[0], seed=3), Market(ALL[0], seed=3)
    events = one.advance(1000)
    pieces = [event for step in (1, 9, 90, 900) for event in other.advance(step)]
    assert events == pieces
    assert one.depth(5000) == other.depth(5000) and one.update_id == other.update_id
    assert Market(ALL[0], seed=4).depth(50) != Market(ALL[0], seed=3).depth(50)


def test_market_knows_the_book_at_every_update_id_across_checkpoints():
    market = Market(ALL[1], seed=5)
    seen = {market.update_id: market.depth(30)}
    for _ in range(9000):
        market.advance(1)
        seen[market.update_id] = market.depth(30)
    for update_id, book in list(seen.items())[::37]:
        assert market.depth_at(update_id, 30) == book
    assert market.depth_at(market.update_id, 5000) == market.depth(5000)


@pytest.mark.parametrize("shared", [None, SharedIds(5_000_000, 7, 3)], ids=["dense", "shared"])
def test_market_knows_how_often_it_had_changed_at_every_update_id(shared):
    market = Market(ALL[1], seed=5, shared_ids=shared)
    ids = [market.update_id]
    for _ in range(9000):
        before = market.changes
        market.advance(1)
        assert market.changes_at(market.update_id) == market.changes
        ids += [market.update_id] * (market.changes - before == 1)
    for update_id in ids[::37]:
        changes = market.changes_at(update_id)
        assert market.id_before(market.changes - changes) == update_id
    assert market.changes_at(ids[0]) == 0


def test_market_forgets_and_says_so():
    market = Market(ALL[1], seed=5, history_changes=4096)
    first = market.update_id
    market.advance(20_000)
    assert market.oldest_update_id > first
    assert market.update_id - market.oldest_update_id >= 4096
    market.depth_at(market.oldest_update_id, 1)
    for outside in (first, market.update_id + 1):
        with pytest.raises(OutsideHistoryError, match=str(outside)):
            market.depth_at(outside, 1)


def test_market_tops_carry_the_id_of_the_change_and_miss_none():
    market = Market(ALL[0], seed=11)
    previous = market.top()
    start = market.update_id
    tops = {event.update_id: event for event in market.advance(3000) if isinstance(event, Top)}
    for update_id in range(start + 1, market.update_id + 1):
        bids, asks = (
            market.depth_at(update_id, 1) if update_id % 7 == 0 or update_id in tops else (None, None)
        )
        if bids is None or asks is None:
            continue
        now = Top(update_id, *bids[0], *asks[0])
        if update_id in tops:
            assert tops[update_id] == now and now[1:] != previous[1:]
            previous = now
        else:
            assert now[1:] == previous[1:]


def test_market_trades_consume_the_levels_they_name():
    market = Market(ALL[0], seed=2)
    fills = 0
    pending = []
    for event in market.advance(4000):
        if isinstance(event, Trade):
            side = BID if event.buyer_is_maker else ASK
            before = dict(market.depth_at(event.update_id - 1, 5000)[side])
            after = dict(market.depth_at(event.update_id, 5000)[side])
            assert before[event.price_ticks] - after.get(event.price_ticks, 0) == event.lots > 0
            best = max(before) if side == BID else min(before)
            assert event.price_ticks == best
            pending.append(event)
            fills += 1
        elif isinstance(event, AggregateTrade):
            assert [t.trade_id for t in pending] == list(range(event.first_trade_id, event.last_trade_id + 1))
            assert sum(t.lots for t in pending) == event.lots
            pending = []
    assert fills > 50 and not pending


def test_market_batch_turns_the_old_book_into_the_new_one():
    market = Market(ALL[2], seed=9)
    for step in (1, 30, 400, 6000):
        since = market.update_id
        old_bids, old_asks = (dict(side) for side in market.depth_at(since, 5000))
        market.advance(step)
        bids, asks = market.batch(since)
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks)
        for book, changes in ((old_bids, bids), (old_asks, asks)):
            for price, lots in changes:
                book.pop(price, None)
                if lots:
                    book[price] = lots
        assert (old_bids, old_asks) == tuple(dict(side) for side in market.depth(5000))


def test_market_burst_is_large_and_true():
    market = Market(ALL[0], seed=1)
    since = market.update_id
    market.burst(4000)
    bids, asks = market.batch(since)
    assert len(bids) + len(asks) == 4000
    assert market.depth_at(market.update_id, 9000) == market.depth(9000)
    assert market.depth(1)[0][0][0] < market.depth(1)[1][0][0]


def test_numbers_are_written_with_eight_decimals():
    assert text_e8(6_183_763_000_000) == "61837.63000000"
    assert text_e8(162) == "0.00000162"
    assert text_e8(0) == "0.00000000"


def test_select_instruments_names_what_is_wrong():
    assert [item.symbol for item in select_instruments(["ETHUSDT", "BTCUSDT"])] == ["ETHUSDT", "BTCUSDT"]
    assert len(select_instruments(None)) == 8 and len(select_instruments(100)) == 100
    with pytest.raises(ValueError, match="NOPE"):
        select_instruments(["NOPE"])
    with pytest.raises(ValueError, match="positive"):
        select_instruments(0)


@pytest.mark.parametrize("shared", [None, SharedIds(base=9_000_000, stride=3, offset=2)])
def test_ids_begin_anew_and_the_book_goes_on(shared: SharedIds | None) -> None:
    market, other = (Market(ALL[0], seed=3, shared_ids=shared) for _ in range(2))
    market.advance(500)
    other.advance(500)
    market.begin_ids_anew()
    assert market.update_id < 10
    assert market.oldest_update_id == market.update_id
    assert market.depth_at(market.update_id, 5000) == other.depth(5000)
    began, changes = market.update_id, market.changes
    first = next(event for event in market.advance(500) if isinstance(event, Trade))
    other.advance(500)
    assert first.trade_id == 1
    assert market.depth(5000) == other.depth(5000), "the same market but for its ids"
    assert market.changes_at(began) == changes
    stride = shared.stride if shared else 1
    assert (market.first_id_after(began) - began) % stride == 0
    at = market.update_id
    market.begin_ids_anew(back=100)
    assert market.update_id == at - 100 * stride
    market.begin_ids_anew(back=1_000_000)
    assert market.update_id == began, "not below the beginning"
