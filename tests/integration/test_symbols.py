"""Symbols that come and go while running, and symbols where nothing happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.harness import (
    LIVE_ROAD,
    RingModel,
    assert_book_is_true,
    assert_ring_is_true,
    assert_soon_live,
    fresh,
    wait_for,
    wait_live,
)
from mdp import BookState, ConfigError, Provider, SegmentError, StateReason, Subscriber
from mdp.sim import SimProcess


def asked(sim: SimProcess) -> tuple[int, dict[str, int]]:
    """How many connections and snapshots the exchange was asked for."""
    status = sim.status()
    return status["connections"], status["snapshots"]


def test_symbol_comes_and_goes_without_touching_another(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT", "BNBUSDT"], seed=2, rate=100)
    provider = provider_for(sim, symbols=["BTCUSDT", "ETHUSDT"])
    wait_live(provider)
    subscriber, model = Subscriber(segment), RingModel(segment)

    asked_at = sim.truth("BNBUSDT")["updateId"]
    added = provider.subscribe("binance", "BNBUSDT")
    wait_live(provider)
    book = model.book_when_live("BNBUSDT")
    assert_soon_live(sim, "BNBUSDT", [(asked_at, book.live_at)], 100, wait_s=0.0)
    assert_book_is_true(sim, subscriber.book("BNBUSDT", require_live=True))
    assert subscriber.instrument("BNBUSDT").symbol_id == added
    with pytest.raises(ConfigError, match="BNBUSDT was added already"):
        provider.subscribe("binance", "BNBUSDT")

    assert provider.unsubscribe(added)
    assert not provider.unsubscribe(added), "it is gone already"
    wait_for(lambda: len(subscriber.instruments) == 2, "two instruments")
    with pytest.raises(SegmentError, match=r"no instrument 'BNBUSDT'; it has: BTCUSDT, ETHUSDT"):
        subscriber.book("BNBUSDT")
    wait_for(
        lambda: (
            not [
                stream
                for client in sim.status()["clients"]
                for stream in client["subscriptions"]
                if stream.startswith("bnb")
            ]
        ),
        lambda: sim.status()["clients"],
    )

    again = provider.subscribe("binance", "BNBUSDT")
    assert again == added, "it has its old id"
    wait_live(provider)
    assert provider.unsubscribe(again)

    # The others never knew: one road to LIVE, no update missing, true to the last level.
    model.catch_up()
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert model.book(symbol).states == LIVE_ROAD
        assert_ring_is_true(sim, model, symbol, 10)
    states = model.books[added].states
    life = [*LIVE_ROAD, (BookState.STALE, StateReason.UNSUBSCRIBED)]
    model.advance(lambda: states[-1] == life[-1] and len(states) == 2 * len(life), "the end")
    assert states == life * 2
    assert model.lines == ["UP"]
    assert fresh(provider).health().engine.gaps == 0
    assert asked(sim) == (1, {"BTCUSDT": 1, "ETHUSDT": 1, "BNBUSDT": 2})


def test_unknown_venue_or_symbol_is_refused_while_running(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider]
) -> None:
    provider = provider_for(start_sim(symbols=["BTCUSDT", "ETHUSDT"], rate=50), symbols=["BTCUSDT"])
    with pytest.raises(ConfigError, match="no venue 'kraken' in this provider; it has: binance"):
        provider.subscribe("kraken", "BTCUSDT")
    with pytest.raises(ConfigError, match="binance does not list 'ETHUSD'; did you mean ETHUSDT"):
        provider.subscribe("binance", "ETHUSD")
    assert fresh(provider).health().symbols == 1


def test_quiet_symbols_become_live(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT", "BNBUSDT"], rate=0)
    provider = provider_for(sim, symbols=["BTCUSDT", "ETHUSDT"], quiet_sync_ms=200)
    wait_live(provider)
    added = provider.subscribe("binance", "BNBUSDT")
    wait_live(provider)
    subscriber = Subscriber(segment)
    for symbol in sim.symbols:
        assert_book_is_true(sim, subscriber.book(symbol, require_live=True))
    assert asked(sim) == (1, dict.fromkeys(sim.symbols, 1)), "nothing was asked for twice"
    # Once something happens it follows.
    before = subscriber.book(added).update_id
    sim.fault("oversized", symbol="BNBUSDT", levels=50)
    wait_for(lambda: subscriber.book(added).update_id > before, "an update")
    assert_book_is_true(sim, subscriber.book(added, require_live=True))
    assert fresh(provider).health().engine.gaps == 0


def test_quiet_symbol_becomes_live_again_after_a_lost_line(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=0)
    provider = provider_for(sim, quiet_sync_ms=200)
    wait_live(provider)
    model = RingModel(segment)
    sim.fault("disconnect", mode="reset")
    model.advance(lambda: model.lines == ["UP", "DOWN", "UP"], lambda: model.lines)
    wait_live(provider)
    assert_book_is_true(sim, Subscriber(segment).book("BTCUSDT", require_live=True))
    assert asked(sim) == (2, {"BTCUSDT": 2}), "one attempt to connect and one snapshot"


def test_quiet_symbol_becomes_live_after_a_resync(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=0)
    provider = provider_for(sim, quiet_sync_ms=200)
    wait_live(provider)
    model = RingModel(segment)
    provider.resync(0)
    model.advance(
        lambda: len(model.books[0].states) == 6 and model.books[0].state == BookState.LIVE,
        lambda: model.books[0].states,
    )
    assert_book_is_true(sim, Subscriber(segment).book("BTCUSDT", require_live=True))
    assert asked(sim) == (1, {"BTCUSDT": 2})
