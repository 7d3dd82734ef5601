"""The C++ book against a dict, on whatever hypothesis thinks of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp import _core
from mdp._core import BookManagerHarness, EventType, OrderBook

LOW, HIGH = -(2**63), 2**63 - 1
Levels = list[tuple[int, int]]

FLAG_TOP = 4

quantities = st.one_of(st.just(0), st.integers(1, 5), st.integers(1, HIGH))


def sides(prices: st.SearchStrategy[int], most: int) -> st.SearchStrategy[Levels]:
    """Lists of levels as venues send them: sorted either way, or in no order, prices named twice."""
    levels = st.lists(st.tuples(prices, quantities), max_size=most)
    return st.one_of(levels, levels.map(sorted), levels.map(lambda found: sorted(found, reverse=True)))


few = st.integers(-8, 8)
edges = st.one_of(st.integers(LOW, LOW + 4), st.integers(HIGH - 4, HIGH), st.integers(-2, 2))
many = st.integers(-3000, 3000)
messages = st.one_of(
    *(st.lists(st.tuples(st.sampled_from("dddds"), sides(p, n), sides(p, n)), max_size=k) for p, n, k in (
        (few, 12, 40),
        (edges, 12, 40),
        (many, 60, 30),
    ))
)  # fmt: skip


def array(levels: Levels) -> np.ndarray:
    return np.array(levels, dtype=np.int64).reshape(-1, 2)


def apply(side: dict[int, int], levels: Levels) -> None:
    for price, quantity in levels:
        if quantity == 0:
            side.pop(price, None)
        else:
            side[price] = quantity


def expect_equal(book: OrderBook, bids: dict[int, int], asks: dict[int, int]) -> None:
    assert [tuple(level) for level in book.bids().tolist()] == sorted(bids.items(), reverse=True)
    assert [tuple(level) for level in book.asks().tolist()] == sorted(asks.items())
    best_bid = max(bids.items(), default=None)
    best_ask = min(asks.items(), default=None)
    assert book.bbo == (best_bid, best_ask)
    assert book.crossed == bool(best_bid and best_ask and best_bid[0] >= best_ask[0])


@settings(max_examples=300, deadline=None)
@given(messages)
def test_book_agrees_with_dict(stream: list[tuple[str, Levels, Levels]]) -> None:
    book = OrderBook()
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for kind, bid_levels, ask_levels in stream:
        before = dict(bids), dict(asks)
        if kind == "s":
            bids.clear()
            asks.clear()
            book.apply_snapshot(array(bid_levels), array(ask_levels))
        else:
            reached = book.apply_update(array(bid_levels), array(ask_levels))
        apply(bids, bid_levels)
        apply(asks, ask_levels)
        expect_equal(book, bids, asks)
        if kind == "d" and before != (bids, asks):
            assert reached is not None
    book.clear()
    expect_equal(book, {}, {})


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.lists(sides(many, 60), max_size=20))
def test_capped_book_keeps_the_best(cap: int, updates: list[Levels]) -> None:
    book = OrderBook(cap)
    bids: dict[int, int] = {}
    known = -(2**63)  # below the best price that was cut nothing is known any more
    for levels in updates:
        book.apply_update(array(levels), array([]))
        apply(bids, [level for level in levels if level[0] >= known])
        if len(bids) > cap + cap // 4:
            known = sorted(bids, reverse=True)[cap] + 1
            bids = dict(sorted(bids.items(), reverse=True)[:cap])
        expect_equal(book, bids, {})


def test_deltas_and_snapshots_of_tens_of_thousands_of_levels() -> None:
    random = np.random.default_rng(1)
    book = OrderBook()
    bids: dict[int, int] = {}
    snapshot = [(int(p), 1) for p in random.permutation(40_000)]
    book.apply_snapshot(array(snapshot), array([]))
    apply(bids, snapshot)
    for _ in range(20):
        delta = [
            (int(p), int(q))
            for p, q in zip(random.integers(0, 50_000, 3000), random.integers(0, 3, 3000), strict=True)
        ]
        book.apply_update(array(delta), array([]))
        apply(bids, delta)
    expect_equal(book, bids, {})


def test_manager_joins_and_resyncs() -> None:
    manager = BookManagerHarness()
    manager.add_symbol(0)
    manager.line(True)
    manager.delta(0, 9, 10, array([(100, 1)]), array([]))
    assert manager.take_snapshots_wanted() == [(0, _core.StateReason.SUBSCRIBED)]
    manager.snapshot(0, 10, array([(100, 5)]), array([(110, 5)]))
    assert manager.state(0) == _core.BookState.LIVE
    manager.delta(0, 12, 13, array([(101, 1)]), array([]))
    assert manager.state(0) == _core.BookState.SYNCING
    assert manager.book(0).bbo == ((100, 5), (110, 5))


below = sides(st.integers(-60, -1), 8)
above = sides(st.integers(1, 60), 8)
faults = st.sampled_from(["none"] * 8 + ["lost", "doubled", "line"])


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.sampled_from([0, 5]), st.lists(st.tuples(below, above, faults), max_size=60))
def test_live_is_right_and_events_rebuild_it(
    futures: bool, cap: int, steps: list[tuple[Levels, Levels, str]]
) -> None:
    manager = BookManagerHarness(depth_cap=cap, snapshot_interval_ns=5)
    manager.add_symbol(0, futures=futures)
    manager.line(True)
    truth: tuple[dict[int, int], dict[int, int]] = ({}, {})
    rebuilt: tuple[dict[int, int], dict[int, int]] = ({}, {})
    last = 10
    for bid_levels, ask_levels, fault in steps:
        previous, last = last, last + 3
        apply(truth[0], bid_levels)
        apply(truth[1], ask_levels)
        if fault == "line":
            manager.line(False)
            manager.line(True)
        for _ in range({"lost": 0, "doubled": 2}.get(fault, 1)):
            manager.delta(0, previous + 1, last, array(bid_levels), array(ask_levels), prev=previous)
        if manager.take_snapshots_wanted():
            manager.snapshot(0, last, array(list(truth[0].items())), array(list(truth[1].items())))
        for kind, _, flags, _, bids, asks in manager.take_events():
            if kind not in (EventType.BOOK_DELTA, EventType.BOOK_SNAPSHOT) or flags & FLAG_TOP:
                continue
            for side, levels in zip(rebuilt, (bids, asks), strict=True):
                if kind == EventType.BOOK_SNAPSHOT:
                    side.clear()
                apply(side, levels.tolist())
        book = manager.book(0)
        if manager.state(0) == _core.BookState.LIVE:
            expect_equal(book, *rebuilt)
            if book.update_id == last and cap == 0:
                expect_equal(book, *truth)
