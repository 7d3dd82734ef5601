"""Replays of recorded futures sessions, those of USD-M from un-routed paths through the routed ones."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from mdp.sim import FAMILIES, SimOptions, SimServer
from mdp.sim.replay import load_recording
from python.test_sim_replay import (
    DATA,
    DEADLINE_S,
    known_results,
    needs_data,
    replay,
    row_of,
    run,
    until_finished,
    wire_files,
)
from support.reference_book import FuturesReferenceBook

SESSIONS = [
    ("binance-usdm", "2021-04-17"),
    ("binance-usdm", "2024-08-08-btcusdt"),
    ("binance-coinm", "2021-04-17"),
    ("binance-coinm", "2024-08-08-btcusd_perp"),
]


def split_by_route(venue, streams):
    """Return path prefix and streams of each connection that a client of today needs."""
    if venue != "binance-usdm":
        return {"": streams}
    book_data = [name for name in streams if "@depth" in name or name.endswith(("@bookTicker", "@trade"))]
    routes = {"/public": book_data, "/market": [name for name in streams if name not in book_data]}
    return {route: names for route, names in routes.items() if names}


async def read(ws, frames, on_depth):
    """Collect the frames of one connection until it is closed."""
    while (message := await ws.receive()).type == aiohttp.WSMsgType.TEXT:
        frames.append(message.data)
        frame = json.loads(message.data)
        if "@depth" in frame["stream"]:
            on_depth(frame["data"])


@needs_data
@pytest.mark.parametrize(("venue", "session"), SESSIONS, ids=["-".join(row) for row in SESSIONS])
def test_replay_gives_the_known_books_and_the_recorded_bytes(venue, session):
    expected = known_results(session, venue)
    recorded = [record["data"] for record in wire_files(session, venue) if record["kind"] == "ws-in"]
    streams = list(dict.fromkeys(json.loads(text)["stream"] for text in recorded))
    routes = split_by_route(venue, streams)
    assert (len(routes) == 2) is (session == "2021-04-17" and venue == "binance-usdm")

    async def scenario():
        async with replay(session, venue, start_streams=len(streams)) as (server, client):
            assert list(server.venues) == [venue]
            books = {symbol: FuturesReferenceBook() for symbol in expected}
            fetching = {}

            async def join(symbol):
                path = f"{FAMILIES[venue].rest_bases[0]}/depth?symbol={symbol}&limit=1000"
                async with client.get(server.rest_url + path) as response:
                    assert response.status == 200
                    assert books[symbol].on_snapshot(await response.text())

            def on_depth(data):
                symbol = data["s"]
                if symbol not in books:
                    return
                books[symbol].on_delta(data)
                if symbol not in fetching:
                    fetching[symbol] = asyncio.ensure_future(join(symbol))

            frames = {route: [] for route in routes}
            sockets, readers = [], []
            for route, names in routes.items():
                url = f"{server.ws_url}{route}/stream?streams={'/'.join(names)}"
                sockets.append(await client.ws_connect(url, max_msg_size=0))
                readers.append(asyncio.ensure_future(read(sockets[-1], frames[route], on_depth)))
            status = await asyncio.wait_for(until_finished(server, client), DEADLINE_S)
            while sum(map(len, frames.values())) < len(recorded):
                await asyncio.sleep(0.001)
            await asyncio.gather(*fetching.values())
            for ws in sockets:
                await ws.close()
            await asyncio.gather(*readers)
            for route, names in routes.items():
                assert frames[route] == [
                    text for text in recorded if json.loads(text)["stream"] in set(names)
                ]
            assert {symbol: row_of(book) for symbol, book in books.items()} == expected
            assert status["framesPlayed"] == len(recorded) and status["snapshotsGivenUp"] == 0

    run(scenario)


@needs_data
def test_recorded_stream_on_the_wrong_route_is_silent():
    async def scenario():
        async with replay("2021-04-17", "binance-usdm", start_streams=1, snapshot_wait_s=0.01) as (
            server,
            client,
        ):
            wrong = f"{server.ws_url}/market/stream?streams=yfiusdt@depth@100ms/yfiusdt@aggTrade"
            async with client.ws_connect(wrong, max_msg_size=0) as ws:
                await asyncio.wait_for(until_finished(server, client), DEADLINE_S)
                (report,) = server.hub.clients.values()
                kinds = {json.loads((await ws.receive()).data)["stream"] for _ in range(report.frames_sent)}
                assert kinds == {"yfiusdt@aggTrade"}

    run(scenario)


@needs_data
@pytest.mark.parametrize(
    ("venue", "session", "steps"),
    [
        ("binance-usdm", "2024-08-08-btcusdt", ("0.1", "0.001")),
        ("binance-coinm", "2024-08-08-btcusd_perp", ("0.1", "1")),
    ],
)
def test_instrument_list_is_made_from_the_digits_seen(venue, session, steps):
    async def scenario():
        async with replay(session, venue) as (server, client):
            url = f"{server.rest_url}{FAMILIES[venue].rest_bases[0]}/exchangeInfo"
            async with client.get(url) as response:
                (entry,) = (await response.json())["symbols"]
            filters = {row["filterType"]: row for row in entry["filters"]}
            assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == steps
            assert entry["baseAsset"] == "BTC" and entry["contractType"] == "PERPETUAL"
            if venue == "binance-coinm":
                assert (entry["pair"], entry["quoteAsset"], entry["contractSize"]) == ("BTCUSD", "USD", 100)
            else:
                assert (entry["pair"], entry["quoteAsset"]) == ("BTCUSDT", "USDT")

    run(scenario)


@needs_data
def test_faults_strike_a_replay_by_the_frames_played():
    prefix = str(DATA / "binance-usdm" / "2021-04-17")
    assert load_recording(prefix).family == "binance-usdm"
    stream = "yfiusdt@depth@100ms"
    recorded = [
        text
        for record in wire_files("2021-04-17", "binance-usdm")
        if record["kind"] == "ws-in" and (text := record["data"]).startswith(f'{{"stream":"{stream}"')
    ]

    async def scenario():
        entry = {"kind": "drop", "stream": stream, "count": 2, "at": {"symbol": "YFIUSDT", "update": 10}}
        options = SimOptions(replay=prefix, speed=0.0, tls=False, start_streams=1, snapshot_wait_s=0.01)
        async with SimServer(options, [entry]) as server, aiohttp.ClientSession() as client:
            url = f"{server.ws_url}/public/stream?streams={stream}"
            async with client.ws_connect(url, max_msg_size=0) as ws:
                got = [(await asyncio.wait_for(ws.receive(), DEADLINE_S)).data for _ in recorded[2:]]
            assert got == recorded[:9] + recorded[11:]

    run(scenario)


@needs_data
def test_recording_of_one_family_is_not_served_as_another():
    prefix = str(DATA / "binance-coinm" / "2021-04-17")
    with pytest.raises(ValueError, match="binance-coinm alone, not of binance-usdm"):
        SimServer(SimOptions(replay=prefix, families=["binance-usdm"]))
