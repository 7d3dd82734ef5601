"""Recorded sessions of the venue, played over real sockets: the venue's own quotes are the judge."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from integration import decimal_model
from integration.harness import SHARED_DATA as DATA
from integration.harness import RingModel, all_live, fresh, merged, settings, wait_for
from mdp import BookState, EventFlag, EventType, Provider, StateReason
from mdp._core import Event, format_decimal
from mdp.sim import SimProcess
from mdp.sim.replay import load_recording

pytestmark = pytest.mark.skipif(
    not (DATA / "README.md").is_file(), reason=f"recorded sessions are not at {DATA}; set MDP_SHARED_DATA"
)

LEVELS = 10
"""Published a side, as `settings` has it."""

# Session, its channels, and whether the venue's quotes were recorded.
SESSIONS = {
    "2021-04-04": ["depth", "aggregate_trade"],
    "2021-04-17": ["depth", "aggregate_trade", "quote"],
    "2024-08-08-btcusdt": ["depth", "trade", "quote"],
}


@dataclass
class Known:
    """What the recordings' README says of one symbol."""

    last_id: int
    bid: tuple[Decimal, Decimal]
    ask: tuple[Decimal, Decimal]
    bid_levels: int
    ask_levels: int


@dataclass
class Recorded:
    """What one symbol's frames say."""

    depth_ids: list[int] = field(default_factory=list)
    trade_ids: list[int] = field(default_factory=list)
    quotes: dict[int, list[tuple[Decimal, ...]]] = field(default_factory=lambda: defaultdict(list))


def known_results(session: str) -> dict[str, Known]:
    """Read the table of known results."""
    row = re.compile(
        rf"^\| binance-spot \| {re.escape(session)} \| (\w+) \| .*gaps 0, crossed 0; .*last id (\d+); "
        r"final best bid (\S+) x (\S+), best ask (\S+) x (\S+); (\d+) bid / (\d+) ask levels \|$",
        re.MULTILINE,
    )
    return {
        m[1]: Known(
            int(m[2]), (Decimal(m[3]), Decimal(m[4])), (Decimal(m[5]), Decimal(m[6])), int(m[7]), int(m[8])
        )
        for m in row.finditer((DATA / "README.md").read_text(encoding="utf-8"))
    }


def recorded(session: str) -> dict[str, Recorded]:
    """Read what was recorded, with Python's own JSON and numbers."""
    found: dict[str, Recorded] = defaultdict(Recorded)
    for _, item in load_recording(str(DATA / "binance-spot" / session)).records:
        if isinstance(item, str):
            continue
        data: dict[str, Any] = json.loads(item.text(combined=False, micro=False))
        symbol = found[data["s"]]
        kind = data.get("e")
        if kind == "depthUpdate":
            symbol.depth_ids.append(data["u"])
        elif kind in ("trade", "aggTrade"):
            symbol.trade_ids.append(data["t" if kind == "trade" else "a"])
        elif kind is None:
            symbol.quotes[data["u"]].append(tuple(Decimal(data[key]) for key in "bBaA"))
    return found


class ReplayModel(RingModel):
    """Also keeps what stood at every update id, and the streams of events as they came."""

    def __init__(self, segment: str) -> None:
        super().__init__(segment)
        self.tops: dict[int, dict[int, tuple[Any, Any]]] = defaultdict(dict)
        self.own_tops: dict[int, dict[int, tuple[Any, Any]]] = defaultdict(dict)
        self.quotes: dict[int, list[tuple[int, Any, Any]]] = defaultdict(list)
        self.trades: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        self.deltas: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))

    def _apply(self, event: Event) -> None:
        super()._apply(event)
        symbol_id = event.symbol_id
        book = self.books.get(symbol_id)
        if event.type == EventType.TRADE:
            self.trades[symbol_id].append(
                (event.trade_id, event.price, event.quantity, event.side, event.exch_ts_ns)
            )
        elif event.type == EventType.BBO and event.flags & EventFlag.VENUE_QUOTE.value:
            self.quotes[symbol_id].append((event.update_id, event.bid, event.ask))
        elif event.type in (EventType.BOOK_DELTA, EventType.BOOK_SNAPSHOT, EventType.BBO):
            assert book is not None
            if event.flags & EventFlag.LAST.value:
                self.tops[symbol_id][event.update_id] = book.best()
                # The book's own Bbo follows the update it belongs to, and is left out where nothing changed.
                self.own_tops[symbol_id][event.update_id] = book.book_bbo
            if event.type == EventType.BOOK_DELTA:
                key = (event.first_update_id, event.exch_ts_ns, event.bids.tolist(), event.asks.tolist())
                self.deltas[symbol_id][event.update_id].append(key)


@pytest.fixture(params=SESSIONS)
def session(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def play(
    sim: SimProcess, session: str, segment: str, topology: str, start_provider: Callable[..., Provider]
) -> tuple[ReplayModel, Provider]:
    """Play a session to its end and return the ring's model and the stopped provider."""
    venue = {"channels": SESSIONS[session], "snapshot_depth": 1000}
    config = settings(sim, segment, topology=topology, **venue)
    provider = start_provider(merged(config, {"segment": {"ring": "64MiB"}}))
    model = ReplayModel(segment)
    known = known_results(session)
    wait_for(lambda: sim.status()["replay"] == "finished", lambda: sim.status())
    running_out = {symbol for symbol in known if runs_out_at(session, symbol) is not None}
    lost = (BookState.STALE, StateReason.DEPTH_EXHAUSTED)
    for symbol in running_out:
        model.advance(lambda symbol=symbol: lost in model.book(symbol).states, f"{symbol} knows no more")
    if not running_out:
        wait_for(lambda: all_live(provider), lambda: f"LIVE: {fresh(provider).states()}")
    lasting = [i for i in model.subscriber.instruments if i.venue_symbol not in running_out]
    for instrument in lasting:
        model.advance_to(instrument.symbol_id, known[instrument.venue_symbol].last_id)
    for instrument in lasting:
        table = model.subscriber.book(instrument.symbol_id, require_live=True)
        ring = model.books[instrument.symbol_id]
        assert table.update_id == ring.update_id
        for side, rows in (("bids", table.bids), ("asks", table.asks)):
            assert ring.side(side, len(rows)) == [tuple(row) for row in rows.tolist()]
    provider.stop()
    model.catch_up()
    assert model.subscriber.lost_events == 0
    return model, provider


@cache
def decimal_books(session: str) -> dict[str, decimal_model.Book]:
    """Return what the model makes of the recording."""
    paths = sorted((DATA / "binance-spot").glob(f"{session}.*"))
    return decimal_model.play(decimal_model.read_session(paths), futures=False).books


@cache
def runs_out_at(session: str, symbol: str) -> int | None:
    """Return the first update after which the recording's one snapshot tells less than is published.

    Where the market runs so far, a provider needs another snapshot, and a recording has none.
    """
    paths = sorted((DATA / "binance-spot").glob(f"{session}.*"))
    found: list[int] = []
    model: dict[str, decimal_model.Book] = {}

    def note(of: str, update_id: int, bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]) -> None:
        if of != symbol or found:
            return
        book = model[symbol]
        bids_short = book.known_bid is not None and len(bids) < LEVELS
        if bids_short or (book.known_ask is not None and len(asks) < LEVELS):
            found.append(update_id)

    decimal_model.play(decimal_model.read_session(paths), futures=False, on_update=note, books=model)
    return found[0] if found else None


def to_mantissa(price: Decimal, instrument: Any) -> int:
    """Return a price as the ring has it."""
    return int(price.scaleb(-instrument.price_exponent))


def exact(mantissas: Any, instrument: Any) -> tuple[Decimal, ...]:
    """Return ((price, quantity), (price, quantity)) as four numbers."""
    return tuple(
        Decimal(format_decimal(value, exponent))
        for level in mantissas
        for value, exponent in zip(
            level, (instrument.price_exponent, instrument.quantity_exponent), strict=True
        )
    )


def test_books_agree_with_the_venues_quotes_and_the_known_results(
    session: str,
    start_sim: Callable[..., SimProcess],
    start_provider: Callable[..., Provider],
    segment: str,
    topology: str,
    record_property: Callable[[str, object], None],
) -> None:
    streams = len(known_results(session)) * len(SESSIONS[session])
    sim = start_sim(replay=str(DATA / "binance-spot" / session), speed=0, start_streams=streams)
    known, frames = known_results(session), recorded(session)
    assert sorted(known) == sim.symbols
    model, provider = play(sim, session, segment, topology, start_provider)

    health = fresh(provider).health().engine
    assert (health.gaps, health.crossed, health.rejected_events) == (0, 0, 0)
    assert health.resyncs == health.depth_exhausted == sum(runs_out_at(session, s) is not None for s in known)
    assert [line.parse_errors for line in health.lines] == [0]
    instants = 0
    for instrument in model.subscriber.instruments:
        symbol, symbol_id = instrument.venue_symbol, instrument.symbol_id
        # Every depth frame after the join was published, in order and once.
        tops = model.tops[symbol_id]
        joined, last = min(tops), runs_out_at(session, symbol)
        published = [u for u in frames[symbol].depth_ids if u > joined and (last is None or u < last)]
        assert list(tops) == [joined, *published]
        # Every trade and quote was.
        assert [trade[0] for trade in model.trades[symbol_id]] == frames[symbol].trade_ids
        quotes = defaultdict(list)
        for update_id, bid, ask in model.quotes[symbol_id]:
            quotes[update_id].append(exact((bid, ask), instrument))
        assert quotes == frames[symbol].quotes
        # At the same update id the venue's quote is the book's top, and the book's own Bbo says so too.
        for update_id in tops.keys() & quotes.keys():
            for quote in quotes[update_id]:
                assert exact(tops[update_id], instrument) == quote, f"{symbol} at {update_id}"
                assert exact(model.own_tops[symbol_id][update_id], instrument) == quote, (
                    f"{symbol} at {update_id}"
                )
                instants += 1
        ring, wanted = model.books[symbol_id], known[symbol]
        if last is not None:
            assert (BookState.STALE, StateReason.DEPTH_EXHAUSTED) in ring.states
            continue
        assert ring.update_id == wanted.last_id
        assert exact(ring.best(), instrument) == (*wanted.bid, *wanted.ask)
        # Levels are those of the recording as far as the snapshot reached, and none behind that.
        whole = ring.known["bids"] is None and ring.known["asks"] is None
        if whole:
            assert (len(ring.bids), len(ring.asks)) == (wanted.bid_levels, wanted.ask_levels), symbol
        raw = decimal_books(session)[symbol]
        for side, levels in (("bids", raw.bids), ("asks", raw.asks)):
            known_part = {p: q for p, q in levels.items() if ring.knows(side, to_mantissa(p, instrument))}
            assert dict(exact([level], instrument) for level in ring.side(side)) == known_part, (symbol, side)
    record_property("instants", instants)
    print(f"{session} {topology}: {instants} instants where a quote and a depth update have the same id")
    if "quote" in SESSIONS[session]:
        # protocols/binance.md counts 2128 over 346 s; these are as many as the recording itself has.
        assert instants > 0


def test_both_topologies_publish_the_same(
    start_sim: Callable[..., SimProcess],
    start_provider: Callable[..., Provider],
    segment_factory: Callable[[], str],
) -> None:
    session = "2021-04-17"
    models = []
    for topology in ("fused", "pipelined"):
        streams = len(known_results(session)) * len(SESSIONS[session])
        sim = start_sim(replay=str(DATA / "binance-spot" / session), speed=0, start_streams=streams)
        models.append(play(sim, session, segment_factory(), topology, start_provider)[0])
    fused, pipelined = models
    assert fused.trades == pipelined.trades
    assert fused.quotes == pipelined.quotes
    compared = 0
    for symbol_id, book in fused.books.items():
        other = pipelined.books[symbol_id]
        assert (book.bids, book.asks, book.states) == (other.bids, other.asks, other.states)
        # When the snapshot came is chance, so the first deltas may be part of it; later ones are the same.
        first = max(min(model.tops[symbol_id]) for model in models)
        streams = [
            {update_id: delta for update_id, delta in model.deltas[symbol_id].items() if update_id > first}
            for model in models
        ]
        assert streams[0] == streams[1]
        compared += len(streams[0])
    assert compared > 500
