"""Replays of recorded sessions: bytes as recorded, joins as the table of known results says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import ssl
from pathlib import Path

import aiohttp
import pytest
from mdp.sim import ReplayError, SimOptions, SimServer
from mdp.sim.replay import load_recording
from mdp.sim.wire.binance.recordings import split_assets
from support.reference_book import FuturesReferenceBook, ReferenceBook

DATA = Path(os.environ.get("MDP_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
DEADLINE_S = 60
needs_data = pytest.mark.skipif(
    not (DATA / "README.md").is_file(), reason=f"recorded sessions are not at {DATA}; set MDP_SHARED_DATA"
)


def known_results(session, venue="binance-spot"):
    """Parse the table of known results for one session."""
    pattern = re.compile(
        rf"\| {venue} \| {session} \| (\w+) \| snapshot id (\d+); dropped (\d+), applied (\d+), gaps 0, "
        r"crossed (\d+); removals (\d+) of which unknown (\d+); max levels per event (\d+); last id (\d+); "
        r"final best bid (\S+) x (\S+), best ask (\S+) x (\S+); (\d+) bid / (\d+) ask levels"
    )
    text = (DATA / "README.md").read_text(encoding="utf-8")
    rows = {row[0]: row[1:] for row in pattern.findall(text)}
    assert rows, f"no known results for {session}"
    return rows


def row_of(book):
    (bid,), (ask,) = book.depth(1)
    if isinstance(book, FuturesReferenceBook):  # the text of a price is the contract's, not eight decimals
        bid[0], ask[0] = str(max(book.bids)), str(min(book.asks))
    numbers = (
        book.snapshot_id, book.dropped, book.applied, book.crossed, book.removals, book.unknown_removals,
        book.max_levels, book.last_id,
    )  # fmt: skip
    return (*map(str, numbers), *bid, *ask, str(len(book.bids)), str(len(book.asks)))


@contextlib.asynccontextmanager
async def replay(session, venue="binance-spot", **changes):
    prefix = str(DATA / venue / session)
    async with SimServer(SimOptions(**{"replay": prefix, "speed": 0.0, **changes})) as server:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file), limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:
            yield server, client


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


def wire_files(session, venue="binance-spot"):
    for path in sorted((DATA / venue).glob(f"{session}.ws*")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from (json.loads(line) for line in file)


async def fetch(server, client, symbol, limit=5000):
    url = f"{server.rest_url}/api/v3/depth?symbol={symbol}&limit={limit}"
    async with client.get(url) as response:
        return response.status, await response.text()


async def until_finished(server, client):
    while True:
        async with client.get(f"{server.rest_url}/sim/status") as response:
            status = await response.json()
        if status["replay"] == "finished":
            return status
        await asyncio.sleep(0.01)


async def follow(server, client, ws, symbols, *, one_at_a_time=False):
    """Build every book; fetch each snapshot once its first delta is there; stop when the replay has ended."""
    books = {symbol: ReferenceBook() for symbol in symbols}
    frames = []
    fetching = {}
    turn = asyncio.Semaphore(1 if one_at_a_time else len(books))

    async def join(symbol):
        async with turn:
            status, body = await fetch(server, client, symbol)
        assert status == 200 and books[symbol].on_snapshot(body)

    finished = asyncio.ensure_future(until_finished(server, client))
    receiving = asyncio.ensure_future(ws.receive())
    while True:
        # After the end some frames may still be on the way, but it is known how many there are.
        if finished.done() and len(frames) == finished.result()["clients"][0]["framesSent"]:
            break
        await asyncio.wait(
            {receiving} if finished.done() else {finished, receiving}, return_when="FIRST_COMPLETED"
        )
        if not receiving.done():
            continue
        message = receiving.result()
        assert message.type == aiohttp.WSMsgType.TEXT, message
        receiving = asyncio.ensure_future(ws.receive())
        frames.append(message.data)
        frame = json.loads(message.data)
        if frame["stream"].endswith("@depth@100ms"):
            symbol = frame["data"]["s"]
            books[symbol].on_delta(frame["data"])
            if symbol not in fetching:
                fetching[symbol] = asyncio.ensure_future(join(symbol))
    receiving.cancel()
    await asyncio.gather(*fetching.values())
    return books, frames, finished.result()


@needs_data
@pytest.mark.parametrize("session", ["2021-04-04", "2021-04-17", "2024-08-08-btcusdt"])
def test_replay_gives_the_known_books_and_the_recorded_bytes(session):
    expected = known_results(session)
    recorded = [record["data"] for record in wire_files(session) if record["kind"] == "ws-in"]
    streams = list(dict.fromkeys(json.loads(text)["stream"] for text in recorded))

    async def scenario():
        async with (
            replay(session, start_streams=len(streams)) as (server, client),
            client.ws_connect(f"{server.ws_url}/stream?streams={'/'.join(streams)}", max_msg_size=0) as ws,
        ):
            books, frames, status = await follow(server, client, ws, expected)
            assert frames == recorded
            assert {symbol: row_of(book) for symbol, book in books.items()} == expected
            assert status["framesPlayed"] == status["framesTotal"] == len(recorded)
            assert status["snapshotsGivenUp"] == 0
            assert not ws.closed

    run(scenario)


@needs_data
def test_client_that_fetches_one_snapshot_at_a_time_is_not_locked_out():
    expected = known_results("2021-04-17")

    async def scenario():
        async with replay("2021-04-17") as (server, client):
            streams = "/".join(f"{symbol.lower()}@depth@100ms" for symbol in sorted(expected))
            async with client.ws_connect(f"{server.ws_url}/stream?streams={streams}", max_msg_size=0) as ws:
                books, _, _ = await follow(server, client, ws, expected, one_at_a_time=True)
                # What is dropped depends on when the snapshot came; the book does not.
                assert {s: row_of(b)[8:] for s, b in books.items()} == {
                    s: row[8:] for s, row in expected.items()
                }

    run(scenario)


@needs_data
def test_raw_client_gets_the_events_without_the_envelope():
    session, stream = "2021-04-17", "veteth@bookTicker"
    recorded = [
        record["data"][len(stream) + 20 : -1]
        for record in wire_files(session)
        if record["data"].startswith(f'{{"stream":"{stream}"')
    ]

    async def scenario():
        async with (
            replay(session, speed=1000.0) as (server, client),
            client.ws_connect(f"{server.ws_url}/ws/{stream}") as ws,
        ):
            got = [(await asyncio.wait_for(ws.receive(), DEADLINE_S)).data for _ in recorded]
            assert got == recorded
            await asyncio.wait_for(until_finished(server, client), DEADLINE_S)

    run(scenario)


@needs_data
def test_snapshot_request_waits_for_the_clock_and_can_be_repeated():
    async def scenario():
        async with replay("2021-04-17", speed=0.0) as (server, client):
            early = asyncio.ensure_future(fetch(server, client, "ADARUB", 1000))
            while not server.feed._waiting:
                await asyncio.sleep(0.001)
            assert not early.done()
            async with client.ws_connect(f"{server.ws_url}/ws/adarub@depth@100ms"):
                status, body = await asyncio.wait_for(early, DEADLINE_S)
                assert status == 200 and body in server.feed.recording.snapshots["ADARUB"].bodies
                await asyncio.wait_for(until_finished(server, client), DEADLINE_S)
            assert await fetch(server, client, "ADARUB", 1000) == (200, body)
            few = json.loads((await fetch(server, client, "ADARUB", 5))[1])
            assert few["bids"] == json.loads(body)["bids"][:5] and len(few["asks"]) == 5
            assert (await fetch(server, client, "NOPE"))[0] == 400

    run(scenario)


@needs_data
def test_snapshot_nobody_fetches_delays_but_does_not_stop_the_replay():
    async def scenario():
        async with (
            replay("2024-08-08-btcusdt", snapshot_wait_s=0.05) as (server, client),
            client.ws_connect(f"{server.ws_url}/ws/btcusdt@depth@100ms", max_msg_size=0) as ws,
        ):

            async def read_all():
                while (await ws.receive()).type == aiohttp.WSMsgType.TEXT:
                    pass

            reading = asyncio.ensure_future(read_all())
            status = await asyncio.wait_for(until_finished(server, client), DEADLINE_S)
            assert status["snapshotsGivenUp"] == 1
            reading.cancel()

    run(scenario)


@needs_data
def test_exchange_info_is_recorded_or_made_from_the_digits_seen():
    async def scenario():
        async with replay("2021-04-17") as (server, client):
            async with client.get(f"{server.rest_url}/api/v3/exchangeInfo") as response:
                assert await response.text() == server.feed.recording.info
            async with client.get(f"{server.rest_url}/api/v3/exchangeInfo?symbol=VETETH") as response:
                (entry,) = (await response.json())["symbols"]
            assert (entry["baseAsset"], entry["quoteAsset"]) == ("VET", "ETH")
        async with replay("2024-08-08-btcusdt") as (server, client):
            async with client.get(f"{server.rest_url}/api/v3/exchangeInfo") as response:
                (entry,) = (await response.json())["symbols"]
            assert (entry["symbol"], entry["baseAsset"], entry["quoteAsset"]) == ("BTCUSDT", "BTC", "USDT")
            filters = {row["filterType"]: row for row in entry["filters"]}
            assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
            # Six decimals are really there: orders from before the venue coarsened the step still stand.
            assert filters["LOT_SIZE"]["stepSize"] == "0.00000100"
            async with client.get(f"{server.rest_url}/sim/truth?symbol=BTCUSDT&updateId=1") as response:
                assert response.status == 404
            for kind in ("oversized", "ids_begin_anew"):
                body = {"kind": kind, "symbol": "BTCUSDT"}
                async with client.post(f"{server.rest_url}/sim/fault", json=body) as response:
                    assert response.status == 409

    run(scenario)


def test_plain_files_and_missing_sessions(tmp_path):
    frame = '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","p":"1.50000000","q":"2.00000000"}}'
    lines = [{"t": 2.0, "kind": "ws-in", "data": frame}, {"t": 3.0, "kind": "ws-out", "data": "{}"}]
    (tmp_path / "x.ws1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recording = load_recording(str(tmp_path / "x"))
    assert [(t, item.text(True, False)) for t, item in recording.records] == [(2.0, frame)]
    with pytest.raises(ReplayError, match="no recorded session"):
        load_recording(str(tmp_path / "y"))
    (tmp_path / "z.ws1.jsonl").write_text('{"t":1.0,"kind":"ws-in","data":"[1]"}\n')
    with pytest.raises(ReplayError, match="not a combined frame"):
        load_recording(str(tmp_path / "z"))


def test_split_assets():
    assert split_assets("1000SATSUSDT") == ("1000SATS", "USDT")
    assert split_assets("BUSDTRY") == ("BUSD", "TRY")
    assert split_assets("PERLBNB") == ("PERL", "BNB")
