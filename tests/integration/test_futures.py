"""All three Binance families in one provider: books, mark prices, liquidations, trades of both routes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from integration.harness import (
    LIVE_ROAD,
    RingModel,
    assert_book_is_true,
    assert_ring_equals_table,
    fresh,
    merged,
    settings,
    wait_for,
    wait_live,
)
from mdp import EventType, Provider, Subscriber
from mdp._core import FUNDING_RATE_EXPONENT, InstrumentKind, Side, format_decimal
from mdp.sim import SimProcess

FAMILIES = ["binance", "binance-usdm", "binance-coinm"]
CHANNELS = {
    "binance": ["depth", "trade", "aggregate_trade", "quote"],
    "binance-usdm": ["depth", "trade", "aggregate_trade", "quote", "mark_price", "liquidation"],
    "binance-coinm": ["depth", "aggregate_trade", "quote", "mark_price", "liquidation"],
}
DEPTH_INTERVALS_MS = {"binance": None, "binance-usdm": 250, "binance-coinm": 0}
"""The default, one by name, and the undocumented one."""


def test_three_families_in_one_provider(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    sim = start_sim(
        families=FAMILIES, symbols=["BTCUSDT", "ETHUSDT", "BTCUSD_PERP", "ETHUSD_PERP"], seed=3, rate=60
    )
    base = settings(sim, segment, topology=topology)
    venues = []
    for family in FAMILIES:
        own = sim.venues[family]
        venues.append(
            merged(
                base["venues"][0],
                {
                    "name": family,
                    "ws_url": own["ws_url"],
                    "rest_url": own["rest_url"],
                    "symbols": own["symbols"],
                    "channels": CHANNELS[family],
                    "depth_interval_ms": DEPTH_INTERVALS_MS[family],
                },
            )
        )
    provider = start_provider({**base, "venues": venues})
    model = RingModel(segment)
    wait_live(provider)
    wanted = {EventType.MARK_PRICE, EventType.LIQUIDATION, EventType.TRADE, EventType.BBO}
    model.advance(lambda: wanted <= model.counts.keys(), lambda: f"{wanted}, have {dict(model.counts)}")

    subscriber = Subscriber(segment)
    by_venue = {entry.canonical_symbol.partition(":")[0]: entry for entry in subscriber.instruments}
    assert set(by_venue) == set(FAMILIES)
    assert by_venue["binance"].kind == InstrumentKind.SPOT
    assert by_venue["binance-usdm"].kind == InstrumentKind.PERPETUAL
    assert by_venue["binance-usdm"].settle == "USDT"
    assert by_venue["binance-coinm"].contract_size > 0
    for entry in subscriber.instruments:
        venue = entry.canonical_symbol.partition(":")[0]
        for _ in range(3):
            at = subscriber.book(entry.symbol_id).update_id
            wait_for(lambda entry=entry, at=at: subscriber.book(entry.symbol_id).update_id > at, entry)
            book = subscriber.book(entry.symbol_id, require_live=True)
            assert_book_is_true(sim, book, venue)
            assert_ring_equals_table(model, book)
        assert model.books[entry.symbol_id].states == LIVE_ROAD

    health = fresh(provider).health().engine
    assert health.gaps == health.audit_mismatches == 0
    assert health.audits > 0
    assert health.mark_prices > 0
    assert health.liquidations > 0
    paths = {(line.venue, line.path) for line in health.lines}
    assert paths == {
        ("binance", "/stream"),
        ("binance-usdm", "/public/stream"),
        ("binance-usdm", "/market/stream"),
        ("binance-coinm", "/stream"),
    }


def test_readers_get_mark_prices_and_liquidations_exactly(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(families=["binance-usdm"], symbols=["BTCUSDT"], seed=4, rate=200)
    own = sim.venues["binance-usdm"]
    provider = start_provider(
        settings(
            sim,
            segment,
            topology="fused",
            name="binance-usdm",
            symbols=own["symbols"],
            channels=["depth", "mark_price", "liquidation"],
        )
    )
    wait_live(provider)
    subscriber = Subscriber(segment, from_oldest=True)
    instrument = subscriber.instrument("BTCUSDT")
    marks, forced = [], []

    def both() -> bool:
        batch = subscriber.poll(4096)
        marks.extend(event for event in batch if event.type == EventType.MARK_PRICE)
        forced.extend(event for event in batch if event.type == EventType.LIQUIDATION)
        columns = batch.columns("mark_prices", numbers="float")
        assert len(columns["mark_price"]) == len(batch.mark_prices)
        return bool(marks and forced)

    wait_for(both, "a mark price and a liquidation")
    book = subscriber.book(instrument.symbol_id)
    mid = Decimal(book.levels("bids", 1)[0][0])
    mark = Decimal(format_decimal(marks[-1].mark_price, instrument.price_exponent))
    assert abs(mark / mid - 1) < Decimal("0.2")
    rate = Decimal(format_decimal(marks[-1].funding_rate, FUNDING_RATE_EXPONENT))
    assert abs(rate) < 1
    assert marks[-1].next_funding_ts_ns > marks[-1].exch_ts_ns
    assert 0 < forced[-1].filled_quantity <= forced[-1].quantity
    assert forced[-1].side in (Side.BUY, Side.SELL)
