"""Books that would be LIVE and frozen: ids that begin anew on connections that stay up, streams that dry up.

The exchange's truth is asked at the ids of the new sequence, for it numbers its books anew as well.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.harness import (
    LIVE_ROAD,
    SHARED_DATA,
    RingModel,
    assert_book_is_true,
    fresh,
    recovery,
    settings,
    wait_for,
    wait_live,
)
from mdp import BookState, EventFlag, EventType, Provider, StateReason, Subscriber
from mdp.replaying.replay import replay_session
from mdp.sim import SimProcess

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
RATE = 100
ANEW = recovery(StateReason.SEQUENCE_RESET)
SILENT = (BookState.STALE, StateReason.SILENT)
SILENCE_S = 5
CASE = SHARED_DATA.parent / "cases" / "ids_begin_anew_spot.jsonl"

Start = Callable[..., tuple[SimProcess, Provider, RingModel]]


@pytest.fixture
def start(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str, topology: str
) -> Start:
    """Start an exchange of one family and a provider of its books, all LIVE and read up to now."""

    def begin(
        family: str = "binance",
        *,
        symbols: list[str] = SYMBOLS,
        rate: float = RATE,
        phases: int = 1,
        **venue: Any,
    ) -> tuple[SimProcess, Provider, RingModel]:
        sim = start_sim(
            families=[family], symbols=symbols, seed=21, rate=rate, depth_interval_ms=50, depth_phases=phases
        )
        own = sim.venues[family]
        provider = start_provider(
            settings(
                sim,
                segment,
                topology=topology,
                **{"name": family, "ws_url": own["ws_url"], "rest_url": own["rest_url"]} | venue,
            )
        )
        wait_live(provider)
        lines = len({line.path for line in provider.health().engine.lines}) * int(venue.get("lines", 1))
        wait_for(lambda: sum(line.up for line in fresh(provider).health().engine.lines) == lines, "the lines")
        model = RingModel(segment)
        for symbol in symbols:
            model.book_when_live(symbol)
        return sim, provider, model

    return begin


def road(model: RingModel, symbol: str) -> list[tuple[BookState, StateReason]]:
    """Return the states of a book since it was LIVE first."""
    return model.book(symbol).states[len(LIVE_ROAD) :]


def assert_true_and_moving(sim: SimProcess, model: RingModel, symbol: str, updates: int = 3) -> None:
    """Hold a LIVE book against the exchange's, at so many of its updates."""
    subscriber = model.subscriber
    for _ in range(updates):
        at = subscriber.book(symbol).update_id
        wait_for(lambda at=at: subscriber.book(symbol).update_id > at, f"{symbol} moving on")
        assert_book_is_true(sim, subscriber.book(symbol, require_live=True))


def anew(sim: SimProcess, symbol: str, back: int = 0) -> None:
    assert sim.fault("ids_begin_anew", symbol=symbol, back=back)["fired"] == 1


@pytest.mark.parametrize("family", ["binance", "binance-usdm", "binance-coinm"])
@pytest.mark.parametrize("channels", [["depth"], ["depth", "trade", "quote"]], ids=["alone", "quotes"])
def test_ids_that_begin_anew_end_live_and_the_book_is_synced_to_the_new_ones(
    start: Start, segment: str, family: str, channels: list[str]
) -> None:
    if family == "binance-coinm":
        channels = [{"trade": "aggregate_trade"}.get(channel, channel) for channel in channels]
    symbols = ["BTCUSD_PERP", "ETHUSD_PERP"] if family == "binance-coinm" else SYMBOLS
    sim, provider, model = start(family, channels=channels, symbols=symbols)
    connections = sim.status(family)["connections"]
    before = model.book(symbols[0]).update_id
    anew(sim, symbols[0])
    model.advance(lambda: road(model, symbols[0]) == ANEW, lambda: road(model, symbols[0]))
    assert model.book(symbols[0]).update_id < before
    assert_true_and_moving(sim, model, symbols[0], 5)
    # What else has ids goes on as well, from the first one on.
    if len(channels) > 1:
        new_ids: dict[EventType, list[int]] = {EventType.TRADE: [], EventType.BBO: []}
        symbol_id = model.subscriber.instrument(symbols[0]).symbol_id
        reader = Subscriber(segment, from_oldest=True)
        seen_reset = False

        def both() -> bool:
            nonlocal seen_reset
            for event in reader.poll():
                if event.symbol_id != symbol_id:
                    continue
                if event.type == EventType.BOOK_STATE and event.reason == StateReason.SEQUENCE_RESET:
                    seen_reset = True
                quote = event.type == EventType.BBO and event.flags & EventFlag.VENUE_QUOTE.value
                if event.type == EventType.TRADE or quote:
                    id_ = event.trade_id if event.type == EventType.TRADE else event.update_id
                    if id_ < 1_000_000:
                        new_ids[event.type].append(id_)
            return seen_reset and all(len(ids) >= 10 for ids in new_ids.values())

        wait_for(both, lambda: f"trades and quotes of the new ids: {new_ids}")
        for ids in new_ids.values():
            assert ids == sorted(ids)
        assert new_ids[EventType.TRADE][0] == 1
    # The sync is looked at once more, against another snapshot, and holds.
    wait_for(lambda: fresh(provider).health().engine.rest_audits >= 1, "the audit of the sync")
    engine = fresh(provider).health().engine
    assert (engine.suspicions, engine.rest_audit_mismatches, engine.audit_mismatches) == (1, 0, 0)
    assert (engine.resyncs, engine.gaps) == (1, 0)
    model.catch_up()
    assert road(model, symbols[0]) == ANEW
    assert road(model, symbols[1]) == []
    assert sim.status(family)["connections"] == connections


def test_a_small_step_back_is_seen_before_the_ids_come_to_where_they_were(start: Start) -> None:
    sim, _, model = start(channels=["depth", "trade"])
    for number in range(1, 4):
        anew(sim, "BTCUSDT", back=100)
        model.advance(
            lambda number=number: road(model, "BTCUSDT") == ANEW * number, lambda: road(model, "BTCUSDT")
        )
        assert_true_and_moving(sim, model, "BTCUSDT", 5)
    assert road(model, "ETHUSDT") == []


def test_two_lines_of_which_one_lags_begin_anew_one_after_the_other(start: Start) -> None:
    sim, provider, model = start(lines=2, phases=2)
    assert_true_and_moving(sim, model, "BTCUSDT", 10)
    lag = int(sim.fault("lag", stream="*", line=1, frames=60, count=0)["id"])
    assert_true_and_moving(sim, model, "BTCUSDT", 40)
    anew(sim, "BTCUSDT")
    model.advance(lambda: road(model, "BTCUSDT") == ANEW, lambda: road(model, "BTCUSDT"))
    assert_true_and_moving(sim, model, "BTCUSDT", 60)  # while the other line still brings what was before
    assert any(fault["id"] == lag and fault["fired"] > 60 for fault in sim.faults())
    sim.clear_faults()
    assert_true_and_moving(sim, model, "BTCUSDT", 10)
    model.catch_up()
    assert road(model, "BTCUSDT") == ANEW
    assert road(model, "ETHUSDT") == []
    # And each alone carries the book.
    for line in (0, 1):
        assert sim.fault("disconnect", mode="reset", line=line, stream="btcusdt@depth@100ms")["fired"] == 1
        wait_for(
            lambda: sum(line.up for line in fresh(provider).health().engine.lines) == 2, "both lines again"
        )
        assert_true_and_moving(sim, model, "BTCUSDT", 25)
    model.catch_up()
    assert road(model, "BTCUSDT") == ANEW
    assert fresh(provider).health().engine.gaps == 0


def test_a_quiet_symbol_whose_ids_begin_anew_while_it_syncs(start: Start) -> None:
    sim, provider, model = start(rate=0, channels=["depth"])
    # A snapshot is under way, and late: of the ids of before.
    sim.fault("snapshot_delay_ms", symbol="BTCUSDT", ms=1500)
    provider.resync(model.subscriber.instrument("BTCUSDT").symbol_id)
    wait_for(lambda: sim.status()["snapshots"]["BTCUSDT"] == 2, "the snapshot that will be late")
    before = sim.truth("BTCUSDT", depth=1)["updateId"]
    sim.step("BTCUSDT", 20, cut="@100ms")
    anew(sim, "BTCUSDT")
    now = sim.step("BTCUSDT", 3, cut="@100ms")
    assert now < before
    requested = (BookState.STALE, StateReason.REQUESTED)
    wanted = [requested, LIVE_ROAD[1], *ANEW]
    model.advance(lambda: road(model, "BTCUSDT") == wanted, lambda: road(model, "BTCUSDT"))
    assert model.book("BTCUSDT").update_id == now
    assert_book_is_true(sim, model.subscriber.book("BTCUSDT", require_live=True))
    assert road(model, "ETHUSDT") == []


def test_ids_that_begin_anew_while_the_line_is_down(start: Start) -> None:
    sim, _, model = start()
    sim.fault("refuse_connect", count=2)
    assert sim.fault("disconnect", mode="reset")["fired"] == 1
    for symbol in SYMBOLS:
        anew(sim, symbol)
    lost = recovery(StateReason.DISCONNECTED)
    for symbol in SYMBOLS:
        model.advance(lambda symbol=symbol: road(model, symbol) == lost, lambda: road(model, "BTCUSDT"))
        assert_true_and_moving(sim, model, symbol, 5)
    trades, quotes = model.counts[EventType.TRADE], model.venue_quotes
    model.advance(
        lambda: model.counts[EventType.TRADE] > trades + 20 and model.venue_quotes > quotes + 20,
        "trades and quotes of the new ids",
    )


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.stress)])
def test_beginnings_among_random_faults_of_the_lines(start: Start, topology: str, rounds: int) -> None:
    """Near and far, in any state of the books, on two lines that lose, double, swap and delay frames."""
    rng = random.Random(f"{topology} {rounds}")
    sim, provider, model = start(lines=2, phases=2, channels=["depth", "trade", "quote"])
    for _ in range(rounds):
        for _ in range(rng.randint(0, 3)):
            stream = f"{rng.choice(SYMBOLS).lower()}@*"
            kind = rng.choice(["drop", "duplicate", "reorder", "lag", "corrupt"])
            line, skip = rng.randint(-1, 1), rng.randint(0, 20)
            sim.fault(kind, stream=stream, line=line, skip=skip, count=rng.randint(1, 10))
        struck = rng.choice(SYMBOLS)
        anew(sim, struck, back=rng.choice([0, 50, 500]))
        if rng.random() < 0.3:
            sim.fault("disconnect", mode="reset", line=rng.randint(0, 1), stream="btcusdt@depth@100ms")
        seen = (BookState.STALE, StateReason.SEQUENCE_RESET)
        count = model.book(struck).states.count(seen)
        events = model.next_sequence + rng.randint(0, 500)
        model.advance(lambda events=events: model.next_sequence > events, "events")
        sim.clear_faults()
        wait_live(provider)
        for symbol in SYMBOLS:
            assert_true_and_moving(sim, model, symbol, 3)
        model.catch_up()
        assert model.book(struck).states.count(seen) <= count + 1
    assert any(StateReason.SEQUENCE_RESET in {r for _, r in model.book(s).states} for s in SYMBOLS)


# ---- streams that dry up ----


def test_a_stream_that_dries_up_while_its_symbol_trades_gets_a_new_connection(start: Start) -> None:
    sim, provider, model = start(channels=["depth", "trade"], overlap_ms=100)
    # Of the connection there is now: the one that replaces it is another line of the stream.
    sim.fault("drop", stream="btcusdt@depth*", line=0, count=0)
    road_back = [SILENT, *recovery(StateReason.SILENT)[1:]]
    model.advance(lambda: road(model, "BTCUSDT") == road_back, lambda: road(model, "BTCUSDT"))
    assert_true_and_moving(sim, model, "BTCUSDT", 5)
    model.catch_up()
    assert road(model, "ETHUSDT") == []
    assert fresh(provider).health().engine.gaps == 0


def test_a_stream_that_dries_up_without_trades_or_quotes_is_found_by_an_audit(start: Start) -> None:
    """A snapshot that stays ahead of the book, with other levels, is all the evidence there is."""
    sim, provider, model = start(channels=["depth"], rest_audit_s=1, overlap_ms=100)
    sim.fault("drop", stream="btcusdt@depth*", line=0, count=0)
    road_back = [SILENT, *recovery(StateReason.SILENT)[1:]]
    model.advance(lambda: road(model, "BTCUSDT") == road_back, lambda: road(model, "BTCUSDT"))
    assert_true_and_moving(sim, model, "BTCUSDT", 5)
    model.catch_up()
    assert road(model, "ETHUSDT") == []
    assert fresh(provider).health().engine.rest_audit_mismatches == 0


@pytest.mark.stress
def test_a_busy_book_that_stands_still_beside_its_neighbour_is_audited(start: Start) -> None:
    """Nobody asked for audits, and there are no trades and no quotes."""
    sim, provider, model = start(channels=["depth"], overlap_ms=100)
    moved = model.book("BTCUSDT").update_id + 30 * RATE  # half a minute, until it counts as a busy one
    model.advance(lambda: model.book("BTCUSDT").update_id > moved, "30 s of updates")
    assert fresh(provider).health().engine.suspicions == 0
    sim.fault("drop", stream="btcusdt@depth*", line=0, count=0)
    road_back = [SILENT, *recovery(StateReason.SILENT)[1:]]
    model.advance(lambda: road(model, "BTCUSDT") == road_back, lambda: road(model, "BTCUSDT"))
    assert_true_and_moving(sim, model, "BTCUSDT", 5)
    engine = fresh(provider).health().engine
    assert (engine.suspicions, engine.rest_audits) == (1, 1)
    model.catch_up()
    assert road(model, "ETHUSDT") == []


@pytest.mark.parametrize("family", ["binance", "binance-usdm"])
def test_a_quiet_symbol_is_live_and_quiet(start: Start, family: str) -> None:
    """ETHUSDT does not move, and its neighbour does."""
    sim, provider, model = start(family, rate=0, channels=["depth", "trade"], rest_audit_s=1)
    rng = random.Random(5)
    audits = fresh(provider).health().engine.rest_audits
    while fresh(provider).health().engine.rest_audits < audits + 6:
        at = sim.step("BTCUSDT", rng.randint(1, 20), cut="@100ms")
        model.advance(lambda at=at: model.book("BTCUSDT").update_id == at, "the update")
    model.catch_up()
    assert road(model, "BTCUSDT") == road(model, "ETHUSDT") == []
    engine = fresh(provider).health().engine
    assert (engine.suspicions, engine.rest_audit_mismatches, engine.resyncs) == (0, 0, 0)


def test_faults_of_lines_are_no_beginning_and_no_silence(start: Start) -> None:
    """Copies, swapped and late frames, on two lines: what the sim has that makes ids go back on a line."""
    sim, provider, model = start(lines=2, phases=2, channels=["depth", "trade", "quote"])
    for line in (0, 1):
        sim.fault("duplicate", stream="*@depth@100ms", line=line, every=3, count=0)
        sim.fault("reorder", stream="*@depth@100ms", line=line, every=7, count=0)
        sim.fault("lag", stream="*", line=line, frames=10, every=4 + line, count=0)
    moved = model.book("BTCUSDT").update_id + 8 * RATE
    model.advance(lambda: model.book("BTCUSDT").update_id > moved, "8 s of updates")
    sim.clear_faults()
    wait_live(provider)
    for symbol in SYMBOLS:
        assert_true_and_moving(sim, model, symbol, 5)
    model.catch_up()
    unwanted = {StateReason.SEQUENCE_RESET, StateReason.SILENT}
    for symbol in SYMBOLS:
        assert not unwanted & {reason for _, reason in model.book(symbol).states}
    assert fresh(provider).health().engine.suspicions == 0


# ---- the case file ----


@pytest.mark.skipif(not CASE.exists(), reason=f"the case is not at {CASE}; set MDP_SHARED_DATA")
@pytest.mark.parametrize("audit", [True, False])
@pytest.mark.parametrize("topology_", ["fused", "pipelined"])
def test_the_case_of_ids_that_begin_anew_is_not_live_without_a_new_snapshot(
    audit: bool, topology_: str
) -> None:
    result = replay_session([CASE], "binance", audit=audit, topology=topology_)
    assert not result.ok
    assert (result.summary["books"], result.summary["books_live"]) == (1, 0)
    assert (result.summary["resyncs"], result.summary["gaps"]) == (1, 0)


# ---- recordings with one thing changed ----

VENUES = {"binance-spot": "binance", "binance-usdm": "binance-usdm", "binance-coinm": "binance-coinm"}
RECORDED = sorted(
    {(folder, path.name.split(".")[0]) for folder in VENUES for path in (SHARED_DATA / folder).glob("*.ws*")}
)
recorded = pytest.mark.parametrize(
    "session",
    RECORDED
    or [
        pytest.param(
            None, marks=pytest.mark.skip(reason=f"no recordings at {SHARED_DATA}; set MDP_SHARED_DATA")
        )
    ],
    ids=lambda session: "/".join(session) if session else "none",
)
CUT = 0.4
"""Of the session: what was recorded before stays as it is."""


def changed(
    session: tuple[str, str], into: Path, change: Callable[[str, dict[str, Any], bool], dict[str, Any] | None]
) -> list[Path]:
    """Write a session whose frames `change(stream, event, late)` has made others of; None leaves one out."""
    paths = []
    for path in sorted((SHARED_DATA / session[0]).glob(f"{session[1]}.*")):
        with gzip.open(path, "rt") as file:
            records = [json.loads(line) for line in file]
        if ".ws" in path.name:
            begin, end = records[0]["t"], records[-1]["t"]
            kept = []
            for record in records:
                frame = json.loads(record["data"]) if record["kind"] == "ws-in" else {}
                if "stream" in frame:
                    late = record["t"] > begin + CUT * (end - begin)
                    event = change(frame["stream"], frame["data"], late)
                    if event is None:
                        continue
                    frame["data"] = event
                    record["data"] = json.dumps(frame, separators=(",", ":"))
                kept.append(record)
            records = kept
        paths.append(into / path.name.removesuffix(".gz"))
        paths[-1].write_text("".join(json.dumps(record) + "\n" for record in records))
    return paths


def roads_of(paths: list[Path], folder: str) -> dict[str, list[tuple[str, str]]]:
    """Replay, and return the states of each book that was LIVE, from then on."""
    out = io.BytesIO()
    replay_session(paths, VENUES[folder], events=out)
    roads: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in out.getvalue().splitlines():
        event = json.loads(line)
        if event["type"] == "book_state":
            roads[event["symbol"]].append((event["state"], event["reason"]))
    live = ("LIVE", "synced")
    return {symbol: states[states.index(live) + 1 :] for symbol, states in roads.items() if live in states}


@recorded
def test_a_recorded_session_whose_ids_begin_anew(session: tuple[str, str], tmp_path: Path) -> None:
    first: dict[str, int] = {}  # by symbol: what its later ids are counted from
    moved = set()

    def change(stream: str, event: dict[str, Any], late: bool) -> dict[str, Any]:
        if not late or "@depth" not in stream:
            return event
        start = first.setdefault(event["s"], event["U"] - 1)
        moved.add(event["s"])
        numbered = {key: event[key] - start for key in ("U", "u")}
        return event | numbered | ({"pu": max(0, event["pu"] - start)} if "pu" in event else {})

    roads = roads_of(changed(session, tmp_path, change), session[0])
    # No snapshot of the new ids was recorded; of the old ones one came late, to a book that was not LIVE yet.
    anew = [("STALE", "sequence_reset"), ("SYNCING", "subscribed")]
    left = list(roads.values()).count(anew)
    assert 0 < left == len(roads) - list(roads.values()).count([])
    assert left >= len(moved) - 1


@recorded
def test_a_recorded_stream_that_dries_up_while_its_symbol_trades(
    session: tuple[str, str], tmp_path: Path
) -> None:
    trades: dict[str, list[int]] = defaultdict(list)  # by symbol: when, ms of the venue

    def change(stream: str, event: dict[str, Any], late: bool) -> dict[str, Any] | None:
        if "@bookTicker" in stream:
            return None
        if late and ("@trade" in stream or "@aggTrade" in stream):
            trades[event["s"]].append(event["T"])
        return None if late and "@depth" in stream else event

    roads = roads_of(changed(session, tmp_path, change), session[0])
    dry = [road for road in roads.values() if road]
    assert all(road == [("STALE", "silent")] for road in dry)
    # Of what trades for half a minute every second or so, each is found; of what hardly trades, none need be.
    busy = [times for times in trades.values() if len(times) >= 30 and times[-1] - times[0] >= 30_000]
    print(f"{session[0]}/{session[1]}: {len(roads)} books, {len(busy)} trade much, {len(dry)} found")
    assert len(dry) >= len(busy)
