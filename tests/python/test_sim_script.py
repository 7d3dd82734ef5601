"""Scripts of faults: checked with file, line and key, and triggered by events of the venue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
import yaml
from mdp.sim import FAMILIES, FAULT_KINDS, FaultError, SimOptions, SimServer, start_sim_process
from mdp.sim.faults import FaultTable
from mdp.sim.script import load_script
from python.sim_client import STREAM, ids_of, next_text, receive, run, until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config" / "faults-example.yaml"


def script(tmp_path, text):
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", "", "wanted a mapping whose key faults is a list, found NoneType"),
        ("[]", "", "found list"),
        ("fault: []", "", "found keys fault"),
        ("faults: []\nextra: 1", ":2", "extra: unknown key; allowed: faults"),
        ("faults: [", ":1", "not YAML"),
        ("faults:\n  - drop", ":2", r"faults\[0\]: must be a mapping, not 'drop'"),
        (
            "faults:\n  - {kind: dropp}",
            ":2",
            r"faults\[0\].kind: unknown fault kind 'dropp'; allowed: drop",
        ),
        (
            "faults:\n  - kind: drop\n  - kind: drop\n    streams: x",
            ":4",
            r"faults\[1\].streams: drop: unknown parameters streams; allowed: venue, stream",
        ),
        ("faults:\n  - kind: drop\n    count: two", ":3", "count must be int, not str 'two'"),
        ("faults:\n  - kind: drop\n    every: 0", ":3", "every must be at least 1, is 0"),
        ("faults:\n  - kind: drop\n    line: -2", ":3", "line must not be negative"),
        (
            "faults:\n  - kind: corrupt\n    mode: digit",
            ":3",
            "mode must be one of json, price, quantity",
        ),
        (
            "faults:\n  - kind: tls_certificate\n    flavour: old",
            ":3",
            "flavour must be one of good, exp",
        ),
        ("faults:\n  - kind: drop\n    venue: kraken", ":3", "venue 'kraken' is not served; here: binance"),
        ("faults:\n  - kind: drop\n    at: 7", ":3", "at must be a mapping, not int 7"),
        ("faults:\n  - kind: drop\n    at: {}", ":3", "at wants one of update, connection, snapshot"),
        ("faults:\n  - kind: drop\n    at: {update: 7}", ":3", "at.update needs at.symbol"),
        (
            "faults:\n  - kind: drop\n    at: {connection: 0}",
            ":3",
            "at.connection must be a positive int",
        ),
        (
            "faults:\n  - kind: drop\n    at: {connection: 1, every: 2}",
            ":3",
            "at.every is for faults",
        ),
        ("faults:\n  - kind: drop\n    at: {connection: 1, snapshot: 2}", ":3", "at wants one of"),
        (
            "faults:\n  - kind: drop\n    at: {connection: 1, symbol: X}",
            ":3",
            "at.connection takes no symbol",
        ),
        ("faults:\n  - kind: disconnect", ":2", "strikes at once, and at the start there is nobody yet"),
        ("faults:\n  - kind: drop\n    kind: drop", ":3", "given twice"),
    ],
)
def test_error_names_file_line_key_and_what_is_allowed(tmp_path, text, line, message):
    path = script(tmp_path, text)
    with pytest.raises(FaultError, match=f"^{re.escape(path)}{line}: (.*){message}"):
        load_script(path, ("binance",))


def test_missing_script_is_an_error_of_the_command(tmp_path):
    with pytest.raises(FaultError, match="cannot be read: No such file"):
        load_script(tmp_path / "nowhere.yaml", ("binance",))


def test_example_is_a_script_and_shows_every_trigger():
    entries = load_script(EXAMPLE, tuple(FAMILIES))
    assert entries == yaml.safe_load(EXAMPLE.read_text())["faults"]
    assert {key for entry in entries for key in entry.get("at", {})} >= {"update", "snapshot", "connection"}
    SimServer(SimOptions(families=list(FAMILIES), rate=0.0), EXAMPLE)


def test_every_fault_of_the_example_strikes():
    async def scenario(sim):
        spot, usdm, coinm = sim.server.venues.values()

        async def follow(venue, path):
            """Stay connected, whatever happens."""
            while True:
                with contextlib.suppress(aiohttp.ClientError, ssl.SSLError):
                    async with sim.session.ws_connect(venue.ws_url + path, max_msg_size=0) as ws:
                        while not ws.closed:
                            await ws.receive()
                await asyncio.sleep(0.001)

        streams = "btcusdt@depth@100ms/btcusdt@bookTicker"
        tasks = [
            asyncio.ensure_future(follow(venue, path))
            for venue, path in (
                (spot, f"/stream?streams={streams}"),
                (spot, f"/stream?streams={streams}"),
                (usdm, f"/public/stream?streams={streams}"),
            )
        ]
        # Each of these connections and requests is one that a fault waits for.
        for _ in range(6):
            await sim.depth(5)
        dogs = await sim.session.ws_connect(f"{spot.ws_url}/ws")
        await dogs.send_str('{"method":"SUBSCRIBE","params":["dogeusdt@trade"],"id":1}')
        for _ in range(3):
            await (await sim.session.ws_connect(f"{coinm.ws_url}/ws")).close()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await sim.session.ws_connect(f"{coinm.ws_url}/ws")
        stalled = asyncio.ensure_future(sim.session.ws_connect(f"{coinm.ws_url}/ws"))

        def quiet():
            return [row for row in sim.server.faults.report() if not row["fired"]]

        for _ in range(3_000):
            if not quiet():
                break
            for venue in (spot, usdm):
                venue.feed.advance("BTCUSDT", 20)
                venue.feed.publisher.publish_depth("@100ms")
                venue.hub.flush()
            await asyncio.sleep(0.001)
        assert quiet() == [], sim.server.faults.report()
        assert not any(task.done() for venue in sim.server.venues.values() for task in venue._tasks)
        for task in (*tasks, stalled):
            task.cancel()
        await asyncio.gather(*tasks, stalled, return_exceptions=True)
        await dogs.close()

    run(scenario, script=EXAMPLE, families=list(FAMILIES), symbols=None)


def test_document_names_every_kind_and_no_other():
    text = (ROOT / "docs" / "sim.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)`", text.split("## Kinds")[1].split("\n## ")[0], re.MULTILINE))
    assert rows == set(FAULT_KINDS)
    for kind, row in FAULT_KINDS.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| `{kind}`"))
        assert all(f"`{name}`" in line for name in row.params), kind


def test_fault_is_armed_at_the_very_update_it_names():
    entry = {
        "kind": "drop",
        "stream": "btcusdt@bookTicker",
        "count": 0,
        "at": {"symbol": "BTCUSDT", "update": 200},
    }

    async def scenario(sim):
        (fault,) = sim.server.faults.report()
        assert fault["waits"] and fault["fired"] == 0
        async with sim.connect("/ws/btcusdt@bookTicker/btcusdt@aggTrade") as ws:
            start = sim.market.update_id
            sim.move(1000)
            top = sim.market.top()
            tickers = []
            async with sim.session.get(f"{sim.server.rest_url}/sim/status") as response:
                sent = (await response.json())["clients"][0]["framesSent"]
            for _ in range(sent):
                event = json.loads(await next_text(ws))
                if "b" in event:
                    tickers.append(event["u"])
            # A taker's fills are one event with several changes: it may be armed a few later, never before.
            assert start + 150 < tickers[-1] <= start + 205 < top.update_id

    run(scenario, script=[entry])


def test_market_is_the_same_whether_a_fault_waits_or_not():
    books = []
    for entries in ([], [{"kind": "drop", "at": {"symbol": "BTCUSDT", "update": 300}}]):

        async def scenario(sim):
            for events in (7, 400, 93):
                sim.move(events)
            books.append((sim.market.update_id, sim.market.depth(5000)))

        run(scenario, script=entries)
    assert books[0] == books[1]


def test_disconnect_comes_back_every_so_many_updates():
    entry = {
        "kind": "disconnect",
        "mode": "close",
        "count": 3,
        "at": {"symbol": "BTCUSDT", "update": 100, "every": 50},
    }

    async def scenario(sim):
        closed_at = []
        while len(closed_at) < 3:
            async with sim.connect() as ws:
                (client,) = sim.hub.clients.values()
                while not client.closed:
                    sim.move(1)
                closed_at.append(sim.market.changes)
                assert (await receive(ws)).type == aiohttp.WSMsgType.CLOSE
            await until(lambda: not sim.hub.clients)
        assert 100 <= closed_at[0] <= 105
        assert all(50 <= b - a <= 55 for a, b in pairwise(closed_at))
        async with sim.connect():
            (client,) = sim.hub.clients.values()
            sim.move(200)
            assert not client.closed
        (report,) = sim.server.faults.report()
        assert (report["fired"], report["remaining"], report["waits"]) == (3, 0, False)

    run(scenario, script=[entry])


def test_fault_waits_for_a_number_of_connections_and_of_snapshots():
    entries = [
        {"kind": "drop", "stream": STREAM, "at": {"connection": 2}},
        {"kind": "snapshot_error", "status": 500, "at": {"snapshot": 3, "symbol": "BTCUSDT"}},
        {"kind": "snapshot_error", "status": 502, "at": {"snapshot": 3}},
    ]

    async def scenario(sim):
        async with sim.connect() as one:
            first = sim.batch()
            assert await ids_of(one, 1) == [first]
            async with sim.connect():
                _, kept = sim.batch(), sim.batch()
                assert await ids_of(one, 1) == [kept]
        symbols = ["BTCUSDT", "ETHUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT", "BTCUSDT", "BTCUSDT"]
        statuses = [(await sim.get(f"/api/v3/depth?symbol={symbol}"))[0] for symbol in symbols]
        assert statuses == [200, 200, 502, 200, 200, 500, 200]

    run(scenario, script=entries, symbols=["BTCUSDT", "ETHUSDT"])


def test_burst_and_notice_can_wait_for_an_update():
    entries = [
        {"kind": "oversized", "symbol": "BTCUSDT", "levels": 600, "at": {"symbol": "BTCUSDT", "update": 50}},
        {"kind": "shutdown_notice", "at": {"symbol": "BTCUSDT", "update": 60}},
    ]

    async def scenario(sim):
        async with sim.connect() as ws:
            sim.move(100)
            assert json.loads(await next_text(ws))["e"] == "serverShutdown"
            sim.batch(1)
            event = json.loads(await next_text(ws))
            assert len(event["b"]) + len(event["a"]) >= 600

    run(scenario, script=entries)


def test_faults_of_one_venue_leave_the_others_alone():
    entries = [{"kind": "rest_error", "venue": "binance-*", "count": 0}]

    async def scenario(sim):
        urls = {name: venue.rest_url for name, venue in sim.server.venues.items()}
        statuses = {}
        for name, url in urls.items():
            async with sim.session.get(f"{url}{FAMILIES[name].rest_bases[0]}/ping") as response:
                statuses[name] = response.status
        assert statuses == {"binance": 200, "binance-usdm": 503, "binance-coinm": 503}

    run(scenario, script=entries, families=list(FAMILIES), symbols=None)


def test_trigger_that_can_never_be_met_is_refused(tmp_path):
    path = script(tmp_path, "faults:\n  - kind: drop\n    at: {symbol: BTCUSD, update: 5}\n")
    with pytest.raises(FaultError, match=r":3: faults\[0\].at: drop: at.symbol 'BTCUSD' is not served"):
        SimServer(SimOptions(symbols=["BTCUSDT"]), path)


def test_certificate_of_a_plain_sim_is_refused():
    async def scenario(sim):
        with pytest.raises(LookupError, match="without TLS"):
            sim.arm("tls_certificate")

    run(scenario, tls=False)
    with pytest.raises(FaultError, match=r"faults\[1\]: there is no certificate without TLS"):
        run(scenario, tls=False, script=[{"kind": "drop"}, {"kind": "tls_certificate"}])


def test_table_counts_every_and_skip():
    table = FaultTable()
    fault = table.add({"kind": "drop", "every": 3, "skip": 2, "count": 2})
    assert [fault.strike() for _ in range(12)] == [n in (4, 7) for n in range(12)]


def test_command_takes_a_script(tmp_path):
    path = script(tmp_path, "faults:\n  - {kind: rest_error, status: 500, at: {connection: 1}}\n")
    with start_sim_process(
        families=["binance", "binance-coinm"], symbols=["BTCUSDT", "BTCUSD_PERP"], rate=0, faults=path
    ) as sim:
        assert list(sim.venues) == ["binance", "binance-coinm"]
        assert sim.symbols == ["BTCUSDT"] and sim.venues["binance-coinm"]["symbols"] == ["BTCUSD_PERP"]
        (fault,) = sim.faults()
        assert fault["kind"] == "rest_error" and fault["waits"]
        assert sim.truth("BTCUSD_PERP", venue="binance-coinm")["bids"][0][1].isdigit()
        assert sim.status("binance-coinm")["venue"] == "binance-coinm"
        assert sim.counters()["violations"] == {}
