"""What is configured and cannot be had is told once and tried again while the rest runs; or a start fails."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.harness import (
    LIVE_ROAD,
    Mdp,
    RingModel,
    assert_book_is_true,
    fresh,
    merged,
    settings,
    shared_memory,
    wait_for,
    wait_live,
    write_config,
)
from mdp import ConfigError, ConnectError, Provider, SegmentError, StateReason, Subscriber
from mdp.sim import SimProcess

GOOD, OTHER = "binance", "binance-usdm"
SOON = {"retry_missing_ms": 50}
SPOT_LIST, USDM_LIST = "/api/v3/exchangeInfo", "/fapi/v1/exchangeInfo"


@pytest.fixture
def sim(start_sim: Callable[..., SimProcess]) -> SimProcess:
    return start_sim(families=[GOOD, OTHER], symbols=["BTCUSDT", "ETHUSDT"], seed=52, rate=50)


def of_venue(sim: SimProcess, name: str) -> dict[str, Any]:
    """Settings that lead to one family of the sim."""
    at = f"127.0.0.1:{sim.venues[name]['port']}"
    return {"name": name, "ws_url": f"wss://{at}", "rest_url": f"https://{at}"}


def two_venues(sim: SimProcess, segment: str, other: dict[str, Any], **over: Any) -> dict[str, Any]:
    """Settings of a venue that works and of another with the settings under test."""
    config = settings(sim, segment, symbols=["BTCUSDT"])
    venue = of_venue(sim, OTHER) | {"symbols": ["ETHUSDT"]} | SOON | other
    config["venues"] += settings(sim, segment, **venue)["venues"]
    return merged(config, over)


def listed(sim: SimProcess, name: str, target: str) -> dict[str, Any]:
    """Return the venue's list of instruments as it is."""
    trust = ssl.create_default_context(cafile=str(sim.ca_file))
    url = f"https://127.0.0.1:{sim.venues[name]['port']}{target}"
    with urllib.request.urlopen(url, context=trust) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found


def show(sim: SimProcess, name: str, info: dict[str, Any]) -> None:
    """Let the venue list these instruments until faults are cleared."""
    body = base64.b64encode(json.dumps(info).encode()).decode()
    sim.fault("rest_body", venue=name, body=body, count=0, path="exchangeInfo")


def without(info: dict[str, Any], symbol: str) -> dict[str, Any]:
    return info | {"symbols": [one for one in info["symbols"] if one["symbol"] != symbol]}


def told(process: Mdp, event: str) -> list[str]:
    return [line for line in process.stderr.splitlines() if f" {event} " in line]


def line_of(file: Path, text: str) -> int:
    return next(i for i, line in enumerate(file.read_text().splitlines(), 1) if text in line)


# ---- symbols ----


def test_symbol_that_is_not_listed_is_told_once_and_joins_when_it_is(
    sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, topology: str
) -> None:
    show(sim, GOOD, without(listed(sim, GOOD, SPOT_LIST), "ETHUSDT"))
    config = settings(sim, segment, topology=topology, symbols=["BTCUSDT", "ETHUSDT"], **SOON)
    file = write_config(tmp_path / "config.yaml", merged(config, {"log": {"level": "debug"}}))
    process = start_mdp("run", file)
    process.wait_for_text("book.live symbol=binance:BTC-USDT")
    wait_for(lambda: len(told(process, "venue.instruments")) >= 4, "the list to be asked for again")
    (line,) = told(process, "symbol.refused")
    assert "error" in line.split()[1], "the level"
    assert "venue=binance symbol=ETHUSDT" in line
    assert f"{file}:{line_of(file, 'ETHUSDT')}: venues[0].symbols[1]: binance does not list 'ETHUSDT'" in line
    assert re.search(r"retry_in_ms=\d+", line)
    model = RingModel(segment)
    sim.clear_faults()
    process.wait_for_text("book.live symbol=binance:ETH-USDT")
    assert_book_is_true(sim, model.subscriber.book("ETHUSDT", require_live=True))
    asked = sim.status()["restRequests"]
    model.catch_up()
    assert model.book("BTCUSDT").states == LIVE_ROAD, "it was never disturbed"
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    assert sim.status()["restRequests"] == asked, "with all of it there the list is not asked for any more"


def test_symbol_that_makes_no_sense_costs_itself_alone(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    info = listed(sim, GOOD, SPOT_LIST)
    eth = next(one for one in info["symbols"] if one["symbol"] == "ETHUSDT")
    eth["filters"] = [{"filterType": "PRICE_FILTER", "tickSize": "a\u001b[2Jlot"}]
    show(sim, GOOD, info)
    config = settings(sim, segment, topology=topology, symbols=["ETHUSDT", "BTCUSDT"], **SOON)
    provider = start_provider(config)
    wait_live(provider)
    (why,) = fresh(provider).missing()[GOOD].values()
    assert why == (
        "<config>:1: venues[0].symbols[0]: binance lists ETHUSDT, but what it says of it cannot be used: "
        'tickSize is not a number: "a [2Jlot"'
    )
    assert fresh(provider).health().missing == {GOOD: 1}
    with pytest.raises(ConfigError, match="tickSize is not a number"):
        provider.subscribe(GOOD, "ETHUSDT")
    sim.clear_faults()
    wait_for(lambda: not fresh(provider).missing()[GOOD], "the symbol to join")
    wait_live(provider)
    assert fresh(provider).health().symbols == 2
    assert_book_is_true(sim, Subscriber(segment).book("ETHUSDT", require_live=True))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("baseAsset", "A" * 25, f'base "{"A" * 25}" has 25 bytes, the field holds 24'),
        (
            "quoteAsset",
            "US\x07D",
            'canonical symbol "binance:ETH-US D" has control characters, or bytes that',
        ),
    ],
)
def test_name_that_the_directory_cannot_hold_names_file_and_line_and_costs_itself_alone(
    sim: SimProcess,
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    field: str,
    value: str,
    why: str,
) -> None:
    info = listed(sim, GOOD, SPOT_LIST)
    bad = next(one for one in info["symbols"] if one["symbol"] == "ETHUSDT")
    bad[field] = value
    show(sim, GOOD, info)
    config = settings(sim, segment, symbols=["ETHUSDT", "BTCUSDT"])
    process = start_mdp("run", write_config(file := tmp_path / "config.yaml", config))
    process.wait_for_text("book.live symbol=binance:BTC-USDT")
    (line,) = told(process, "symbol.refused")
    assert f"{file}:{line_of(file, 'ETHUSDT')}: venues[0].symbols[0]: directory: " in line
    assert why.replace('"', '\\"') in line


def test_symbol_that_was_subscribed_to_by_hand_is_not_missing_any_more(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> None:
    show(sim, GOOD, without(listed(sim, GOOD, SPOT_LIST), "ETHUSDT"))
    provider = start_provider(settings(sim, segment, symbols=["BTCUSDT", "ETHUSDT"], **SOON))
    assert list(fresh(provider).missing()[GOOD]) == ["ETHUSDT"]
    sim.clear_faults()
    wait_for(lambda: not fresh(provider).missing()[GOOD], "the symbol to join")
    (symbol_id,) = (entry.symbol_id for entry in Subscriber(segment).instruments if entry.base == "ETH")
    with pytest.raises(ConfigError, match="ETHUSDT was added already"):
        provider.subscribe(GOOD, "ETHUSDT")
    assert provider.unsubscribe(symbol_id)
    assert fresh(provider).missing()[GOOD] == {}, "what was given up is not wanted"


# ---- streams ----


def test_stream_that_the_venue_refuses_is_asked_for_again(
    sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, topology: str
) -> None:
    sim.fault("subscribe_error", stream="ethusdt@depth*", count=0, code=2, msg="not yet")
    config = settings(sim, segment, topology=topology, symbols=["BTCUSDT", "ETHUSDT"], **SOON)
    process = start_mdp("run", write_config(tmp_path / "config.yaml", config))
    process.wait_for_text("book.live symbol=binance:BTC-USDT")
    model = RingModel(segment)
    wait_for(lambda: sim.faults()[0]["fired"] >= 6, "the stream to be asked for again")
    (line,) = told(process, "symbol.rejected")
    assert 'symbol=binance:ETH-USDT channel=depth line=0 code=2 text="not yet"' in line
    sim.clear_faults()
    process.wait_for_text("book.live symbol=binance:ETH-USDT")
    assert_book_is_true(sim, model.subscriber.book("ETHUSDT", require_live=True))
    model.catch_up()
    assert model.book("BTCUSDT").states == LIVE_ROAD, "it was never disturbed"
    assert sim.status()["connections"] == 1


# ---- venues ----


def test_venue_that_cannot_be_used_as_configured_joins_when_it_can(
    sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str
) -> None:
    authority = tmp_path / "authority.pem"
    config = two_venues(sim, segment, {"tls": {"ca_file": str(authority)}})
    process = start_mdp("run", write_config(file := tmp_path / "config.yaml", config))
    process.wait_for_text("book.live symbol=binance:BTC-USDT")
    (line,) = told(process, "venue.unusable")
    assert f"venue={OTHER}" in line
    assert f"{file}:{line_of(file, OTHER) - 1}: venues[1]: tls.ca_file '{authority}': cannot be read" in line
    assert "name a file of certificates in PEM form that this user may read" in line
    model = RingModel(segment)
    assert sim.ca_file is not None
    authority.write_text(Path(sim.ca_file).read_text())
    process.wait_for_text("book.live symbol=binance-usdm:ETH-USDT-PERP")
    assert_book_is_true(sim, model.subscriber.book("ETHUSDT", require_live=True), OTHER)
    model.catch_up()
    assert model.book("BTCUSDT").states == LIVE_ROAD, "it was never disturbed"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": ["depth", "trade"], "depth_interval_ms": 7}, "depth_interval_ms 7 is not offered"),
        ({"microsecond_times": True}, "microsecond_times is not offered"),
        (
            {"tls": {"insecure_skip_verify": True}, "rest_url": "https://198.51.100.1"},
            "insecure_skip_verify is allowed for loopback hosts only",
        ),
    ],
)
def test_venue_with_settings_it_cannot_have_stops_no_other(
    sim: SimProcess,
    start_provider: Callable[..., Provider],
    segment: str,
    wrong: dict[str, Any],
    message: str,
) -> None:
    provider = start_provider(two_venues(sim, segment, wrong))
    wait_live(provider)
    assert message in fresh(provider).missing()[OTHER]["ETHUSDT"]
    assert fresh(provider).health().symbols == 1
    with pytest.raises(ConnectError, match=f"{OTHER} could not be reached yet"):
        provider.subscribe(OTHER, "ETHUSDT")
    with pytest.raises(ConfigError, match=f"no venue 'kraken' in this provider; it has: {GOOD}, {OTHER}"):
        provider.subscribe("kraken", "ETHUSDT")


def test_provider_without_anything_to_be_had_runs_and_takes_what_comes(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> None:
    sim.fault("rest_error", count=0, status=451, html=True)
    provider = start_provider(two_venues(sim, segment, {"symbols": ["NOSUCH", "ETHUSDT"]}))
    assert fresh(provider).health().symbols == 0
    assert fresh(provider).health().missing == {GOOD: 1, OTHER: 2}
    assert "HTTP 451" in fresh(provider).missing()[GOOD]["BTCUSDT"]
    assert Subscriber(segment).instruments == []
    sim.clear_faults()
    wait_for(lambda: fresh(provider).health().symbols == 2, "both venues to join")
    wait_live(provider)
    assert list(fresh(provider).missing()[OTHER]) == ["NOSUCH"]


# ---- strict ----


def only_error(process: Mdp) -> str:
    assert process.wait() == 2
    (line,) = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in process.stderr
    return line


@pytest.mark.parametrize("late", [False, True], ids=["the first to answer", "the last to answer"])
def test_strict_start_fails_where_a_symbol_is_not_listed(
    sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, late: bool
) -> None:
    if late:
        sim.fault("rest_error", venue=OTHER, count=2)
    config = two_venues(sim, segment, {"symbols": ["ETHUSDT", "ETHUSTD"]}, strict=True)
    process = start_mdp("run", write_config(file := tmp_path / "config.yaml", config))
    message = only_error(process)
    assert (
        f"{file}:{line_of(file, 'ETHUSTD')}: venues[1].symbols[1]: {OTHER} does not list 'ETHUSTD'" in message
    )
    assert "did you mean ETHUSDT" in message
    assert "book.live" not in process.stderr, "nothing is published before all of it can be had"
    assert len(told(process, "venue.unreachable")) == 2 * late
    assert segment not in shared_memory()


def test_strict_start_waits_for_every_venue_and_then_runs(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> None:
    sim.fault("rest_error", venue=OTHER, count=3)
    provider = start_provider(two_venues(sim, segment, {}, strict=True))
    assert fresh(provider).missing() == {GOOD: {}, OTHER: {}}
    assert fresh(provider).health().symbols == 2
    wait_live(provider)
    sim.fault("subscribe_error", stream="bnbusdt*", count=0)
    with pytest.raises(ConfigError, match="does not list 'BNBUSDT'"):
        provider.subscribe(GOOD, "BNBUSDT")
    wait_live(provider)


def test_strict_start_that_is_given_up_names_what_it_waited_for(
    start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    with socket.socket() as free:  # bound, never listening: whoever connects is refused
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
        config = settings(None, segment, topology=topology, rest_url=url, symbols=["BTCUSDT"])
        asked: list[int] = []
        with pytest.raises(ConnectError, match=f"given up while waiting for what is configured: .*{url}"):
            start_provider(config | {"strict": True}, cancelled=lambda: len(asked) > 50 or asked.append(1))
    assert segment not in shared_memory()


def test_strict_start_leaves_a_taken_segment_alone(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> None:
    first = start_provider(settings(sim, segment, symbols=["BTCUSDT"]))
    wait_live(first)
    with pytest.raises(SegmentError, match=segment):
        start_provider(settings(sim, segment, symbols=["BTCUSDT"]) | {"strict": True})
    assert first.states()["binance:BTC-USDT"][1] == StateReason.SYNCED


# ---- an end while nothing answers ----


@pytest.mark.parametrize("end", ["duration", "SIGINT", "SIGTERM"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_run_ends_when_it_is_told_to_though_no_venue_ever_answered(
    start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, end: str, strict: bool, silent: bool
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        if silent:  # the kernel accepts, and nobody says a word
            nobody.listen()
        at = f"127.0.0.1:{nobody.getsockname()[1]}"
        config = settings(None, segment, ws_url=f"wss://{at}", rest_url=f"https://{at}", symbols=["BTCUSDT"])
        config["venues"][0]["rest_timeout_ms"] = 3_600_000
        file = write_config(tmp_path / "config.yaml", config | {"strict": strict})
        process = start_mdp("run", file, *(["--duration", "2"] if end == "duration" else []))
        process.wait_for_text("provider.start")
        if not silent:
            process.wait_for_text("venue.unreachable venue=binance attempt=2 ")
        if end != "duration":
            process.signal(signal.Signals[end])
        code = process.wait()
    given_up = strict and end == "duration"
    assert code == (2 if given_up else 0), process.stderr
    assert ("given up while waiting for what is configured" in process.stderr) == given_up
    assert "Traceback" not in process.stderr
    assert segment not in shared_memory()
