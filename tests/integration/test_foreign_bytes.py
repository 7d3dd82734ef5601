"""A venue whose answers are no text, no UTF-8 or not the venue's: it is unreachable, and the others run."""

from __future__ import annotations

import base64
import gzip
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
    settings,
    wait_for,
    wait_live,
    write_config,
)
from mdp import Provider, Subscriber
from mdp.sim import SimProcess

GOOD, BAD = "binance", "binance-usdm"
"""The venue that always works, and the one that does not at first."""
LISTED = b'{"symbols":[{"symbol":"BTCUSDT","baseAsset":"BTC","quoteAsset":"USDT","status":"TRADING"}]}'

BODIES: dict[str, dict[str, Any]] = {
    "gzip without its header": {"body": gzip.compress(LISTED)},
    "gzip cut short": {"body": gzip.compress(LISTED)[:-9], "headers": {"Content-Encoding": "gzip"}},
    "a coding that nobody knows": {"body": LISTED, "headers": {"Content-Encoding": "br"}},
    "Latin-1": {"body": LISTED.replace(b"BTC", b"BT\xc7")},
    "UTF-8 cut inside a character": {"body": "\u5e01".encode()[:2] + LISTED},
    "a character across the cut of what is shown": {"body": b"x" * 78 + "\u5e01".encode() * 60},
    "garbage": {"body": bytes(range(256)) * 8},
    "nothing": {"body": b""},
    "HTML": {"body": b"<html><title>Wait</title><p>One moment, Malm\xf6</p></html>"},
    "HTML of a firewall": {
        "body": b"<html><h1>Access denied</h1></html>",
        "status": 403,
        "headers": {"Server": "cloudflare", "Content-Type": "text/html"},
    },
    "a refusal in Latin-1": {"body": b"refus\xe9", "status": 451},
    "a redirect": {"body": b"", "status": 302, "headers": {"Location": "https://elsewhere.test/login"}},
}


def arm(sim: SimProcess, *, body: bytes, count: int = 0, **params: Any) -> None:
    """Let the bad venue answer every REST request so."""
    text = base64.b64encode(body).decode()
    sim.fault("rest_body", venue=BAD, body=text, count=count, **params)


@pytest.fixture
def sim(start_sim: Callable[..., SimProcess]) -> SimProcess:
    return start_sim(families=[GOOD, BAD], symbols=["BTCUSDT", "ETHUSDT"], seed=51, rate=50)


def two_venues(sim: SimProcess, segment: str, topology: str) -> dict[str, Any]:
    """Settings of a venue that works and one that may not, one symbol each."""
    config = settings(sim, segment, topology=topology, symbols=["BTCUSDT"])
    at = f"127.0.0.1:{sim.venues[BAD]['port']}"
    bad = {"name": BAD, "ws_url": f"wss://{at}", "rest_url": f"https://{at}", "symbols": ["ETHUSDT"]}
    config["venues"] += settings(sim, segment, **bad)["venues"]
    return config


@pytest.mark.parametrize("answer", BODIES)
def test_venue_with_an_unreadable_answer_joins_when_it_is_mended_and_the_other_runs(
    sim: SimProcess,
    start_provider: Callable[..., Provider],
    segment: str,
    topology: str,
    answer: str,
) -> None:
    arm(sim, **BODIES[answer])
    provider = start_provider(two_venues(sim, segment, topology))
    model = RingModel(segment)
    model.book_when_live("BTCUSDT")
    subscriber = Subscriber(segment)
    assert [entry.venue_symbol for entry in subscriber.instruments] == ["BTCUSDT"]
    asked = sim.status(BAD)["restRequests"]
    wait_for(lambda: sim.status(BAD)["restRequests"] > asked + 2, "the bad venue to be asked again")

    sim.clear_faults()
    wait_for(lambda: len(subscriber.instruments) == 2, "the bad venue to join")
    model.book_when_live("ETHUSDT")
    assert_book_is_true(sim, subscriber.book("ETHUSDT", require_live=True), BAD)
    assert_book_is_true(sim, subscriber.book("BTCUSDT", require_live=True), GOOD)
    model.catch_up()
    assert model.book("BTCUSDT").states == LIVE_ROAD, "it was never disturbed"
    assert fresh(provider).health().symbols == 2


WORDS = {
    "gzip without its header": "found: 87 bytes that are no text, beginning 1f 8b 08 00",
    "gzip cut short": 'exchangeInfo at {at}: HTTP 200 with Content-Encoding \\"gzip\\", 78 bytes: truncated',
    "a coding that nobody knows": 'Content-Encoding \\"br\\" was not asked for and cannot be read',
    "UTF-8 cut inside a character": 'found: \ufffd{{\\"symbols\\"',
    "nothing": 'wanted a JSON object with an array \\"symbols\\", found: ',
    "HTML": "found: Wait One moment, Malm\ufffd",
    "HTML of a firewall": 'HTTP 403 Forbidden (server \\"cloudflare\\"): Access denied',
    "a refusal in Latin-1": "HTTP 451 Unavailable For Legal Reasons (server",
    "a redirect": 'location \\"https://elsewhere.test/login\\"): redirects are not followed; if the venue '
    "has moved, set rest_url",
}
"""What the log says of each."""


def test_log_tells_what_came_from_where_and_what_to_do(
    sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str
) -> None:
    for answer in WORDS:
        arm(sim, count=1, **BODIES[answer])
    process = start_mdp("run", write_config(tmp_path / "config.yaml", two_venues(sim, segment, "fused")))
    process.wait_for_text("book.live symbol=binance-usdm:ETH-USDT-PERP")
    told = [line for line in process.stderr.splitlines() if "venue.unreachable" in line]
    at = f"127.0.0.1:{sim.venues[BAD]['port']}"
    for line, (answer, words) in zip(told, WORDS.items(), strict=True):
        assert f"venue.unreachable venue={BAD} attempt=" in line, answer
        assert f"GET https://{at}/fapi/v1/exchangeInfo: " in line, answer
        assert words.format(at=at) in line, answer
        assert "retry_in_ms=" in line, answer


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw-deflate"])
def test_venue_that_compresses_what_nobody_asked_it_to_is_read(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str, topology: str, coding: str
) -> None:
    sim.fault("rest_coded", venue=BAD, coding=coding, count=0)
    provider = start_provider(two_venues(sim, segment, topology))
    assert fresh(provider).health().symbols == 2, "the list of instruments was read at once"
    wait_live(provider)
    assert_book_is_true(sim, Subscriber(segment).book("ETHUSDT", require_live=True), BAD)
    assert sim.faults()[0]["fired"] == 2, "the list, and one snapshot"


def test_snapshot_that_cannot_be_read_is_fetched_again(
    sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, topology: str
) -> None:
    answers = ["gzip cut short", "Latin-1", "HTML of a firewall", "a redirect", "garbage"]
    for answer in answers:
        arm(sim, count=1, path="depth", **BODIES[answer])
    process = start_mdp("run", write_config(tmp_path / "config.yaml", two_venues(sim, segment, topology)))
    process.wait_for_text("book.live symbol=binance-usdm:ETH-USDT-PERP")
    failed = [line for line in process.stderr.splitlines() if "snapshot.failed" in line]
    words = [
        WORDS["gzip cut short"].partition("HTTP")[2],
        'unreadable snapshot (malformed-frame): {{\\"symbols\\"',
        WORDS["HTML of a firewall"],
        "redirects are not followed",
        "unreadable snapshot (malformed-frame): 2048 bytes that are no text, beginning 00 01 02 03",
    ]
    for line, said in zip(failed, words, strict=True):
        assert said.format() in line
    model = RingModel(segment)
    assert_book_is_true(sim, model.subscriber.book("ETHUSDT", require_live=True), BAD)
