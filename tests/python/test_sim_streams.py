"""WebSocket side of the sim over real TLS sockets: content against the truth, form against the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import socket
import ssl

import aiohttp
import pytest
from mdp.sim import SimOptions, SimServer
from support.reference_book import ReferenceBook

DEADLINE_S = 60
PRICE = r"\d+\.\d{8}"
LEVELS = rf'\[(?:\["{PRICE}","{PRICE}"\](?:,\["{PRICE}","{PRICE}"\])*)?\]'
FORMATS = {
    "depth@100ms": rf'\{{"e":"depthUpdate","E":\d{{13}},"s":"BTCUSDT","U":\d+,"u":\d+,'
    rf'"b":{LEVELS},"a":{LEVELS}\}}',
    "bookTicker": rf'\{{"u":\d+,"s":"BTCUSDT","b":"{PRICE}","B":"{PRICE}","a":"{PRICE}","A":"{PRICE}"\}}',
    "trade": rf'\{{"e":"trade","E":\d{{13}},"s":"BTCUSDT","t":\d+,"p":"{PRICE}","q":"{PRICE}","T":\d{{13}},'
    r'"m":(?:true|false),"M":true\}',
    "aggTrade": rf'\{{"e":"aggTrade","E":\d{{13}},"s":"BTCUSDT","a":\d+,"p":"{PRICE}","q":"{PRICE}","f":\d+,'
    r'"l":\d+,"T":\d{13},"m":(?:true|false),"M":true\}',
    "depth5@100ms": rf'\{{"lastUpdateId":\d+,"bids":{LEVELS},"asks":{LEVELS}\}}',
}
FORMATS["depth"] = FORMATS["depth@100ms"]


def options(**changes):
    return SimOptions(**{"symbols": ["BTCUSDT", "ETHUSDT"], "rate": 1000.0, **changes})


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


@contextlib.asynccontextmanager
async def sim(**changes):
    """A server and a session that trusts it."""
    async with SimServer(options(**changes)) as server:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield server, session


def connect(server, session, path, **kwargs):
    return session.ws_connect(server.ws_url + path, max_msg_size=0, **kwargs)


async def next_text(ws):
    message = await asyncio.wait_for(ws.receive(), DEADLINE_S)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return message.data


async def ask(ws, request):
    """Send a control message and return the answer, skipping stream frames."""
    await ws.send_str(request if isinstance(request, str) else json.dumps(request))
    while True:
        answer = json.loads(await next_text(ws))
        if "result" in answer or "code" in answer:
            return answer


async def until(condition):
    """Poll with a deadline; what is waited for is never measured."""
    for _ in range(DEADLINE_S * 200):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("deadline passed")


async def joined_book(server, session, ws, stream, symbol):
    """Join snapshot and deltas by the venue's rule."""
    book = ReferenceBook()
    while True:
        frame = json.loads(await next_text(ws))
        if frame.get("stream") == stream:
            book.on_delta(frame["data"])
        if book.buffered:
            async with session.get(f"{server.rest_url}/api/v3/depth?symbol={symbol}&limit=5000") as response:
                if book.on_snapshot(await response.text()):
                    return book


@pytest.mark.parametrize("stream", ["btcusdt@depth@100ms", "btcusdt@depth"])
def test_joined_book_equals_truth_at_every_update(stream):
    async def scenario():
        async with (
            sim(depth_interval_ms=20, slow_depth_interval_ms=50) as (server, session),
            connect(server, session, f"/stream?streams={stream}") as ws,
        ):
            book = await joined_book(server, session, ws, stream, "BTCUSDT")
            while book.applied < 30:
                book.on_delta(json.loads(await next_text(ws))["data"])
                if not book.applied:
                    continue
                url = f"{server.rest_url}/sim/truth?symbol=BTCUSDT&updateId={book.last_id}&depth=3000"
                async with session.get(url) as response:
                    truth = await response.json()
                assert truth["updateId"] == book.last_id
                assert (truth["bids"], truth["asks"]) == book.depth(3000)
            assert book.crossed == 0

    run(scenario)


def test_book_ticker_equals_truth_and_the_depth_book_at_shared_ids():
    async def scenario():
        async with sim(depth_interval_ms=20) as (server, session):
            stream = "ethusdt@depth@100ms"
            async with connect(server, session, f"/stream?streams={stream}/ethusdt@bookTicker") as ws:
                book = await joined_book(server, session, ws, stream, "ETHUSDT")
                market = server.market("ETHUSDT")
                tickers, shared = {}, 0
                for _ in range(700):
                    frame = json.loads(await next_text(ws))
                    data = frame["data"]
                    if frame["stream"] == stream:
                        book.on_delta(data)
                        bids, asks = book.depth(1)
                        if book.last_id in tickers:
                            shared += 1
                            assert tickers[book.last_id] == (*bids[0], *asks[0])
                        continue
                    tickers[data["u"]] = (data["b"], data["B"], data["a"], data["A"])
                    (bid,), (ask_level,) = market.depth_at(data["u"], 1)
                    spec = market.instrument
                    assert data["b"] == spec.price_text(bid[0]) and data["B"] == spec.quantity_text(bid[1])
                    assert data["a"] == spec.price_text(ask_level[0])
                    assert data["A"] == spec.quantity_text(ask_level[1])
                assert len(tickers) > 100 and shared > 0

    run(scenario)


@pytest.mark.parametrize("kind", FORMATS)
def test_frame_format_raw_and_combined(kind):
    async def scenario():
        async with sim(slow_depth_interval_ms=100) as (server, session):
            stream = f"btcusdt@{kind}"
            async with connect(server, session, f"/ws/{stream}") as ws:
                assert re.fullmatch(FORMATS[kind], await next_text(ws))
            async with connect(server, session, f"/stream?streams={stream}") as ws:
                wrapped = rf'\{{"stream":"{stream}","data":{FORMATS[kind]}\}}'
                assert re.fullmatch(wrapped, await next_text(ws))

    run(scenario)


def test_depth_batches_are_gapless_ordered_and_without_repeats():
    async def scenario():
        async with (
            sim(depth_interval_ms=20) as (server, session),
            connect(server, session, "/ws/btcusdt@depth@100ms") as ws,
        ):
            last = None
            for _ in range(40):
                event = json.loads(await next_text(ws))
                assert event["U"] <= event["u"] and (last is None or event["U"] == last + 1)
                last = event["u"]
                bids = [float(price) for price, _ in event["b"]]
                asks = [float(price) for price, _ in event["a"]]
                assert bids == sorted(set(bids), reverse=True) and asks == sorted(set(asks))
                assert bids or asks

    run(scenario)


def test_frozen_market_sends_no_depth_frames():
    async def scenario():
        async with (
            sim(rate=0.0, depth_interval_ms=5) as (server, session),
            connect(server, session, "/ws/btcusdt@depth@100ms") as ws,
        ):
            await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 1})
            market = server.market("BTCUSDT")
            first = market.update_id + 1
            market.advance(3)
            event = json.loads(await next_text(ws))
            assert (event["U"], event["u"]) == (first, market.update_id)
            assert server.hub.frames_sent == 1

    run(scenario)


def test_microsecond_time_unit():
    async def scenario():
        async with sim() as (server, session):
            async with connect(server, session, "/ws/btcusdt@trade?timeUnit=MICROSECOND") as ws:
                event = json.loads(await next_text(ws))
                assert 10**15 < event["E"] < 10**16 and 10**15 < event["T"] < 10**16
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await connect(server, session, "/ws/btcusdt@trade?timeUnit=FORTNIGHT")

    run(scenario)


def test_control_messages():
    async def scenario():
        async with sim(rate=0.0) as (server, session), connect(server, session, "/ws") as ws:
            subscribe = {
                "method": "SUBSCRIBE",
                "params": ["btcusdt@trade", "nosuch@depth", "BTCUSDT@trade"],
                "id": 1,
            }
            await ws.send_str(json.dumps(subscribe))
            assert await next_text(ws) == '{"result":null,"id":1}'
            listed = await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": "three-3"})
            assert listed == {"result": ["btcusdt@trade", "nosuch@depth", "BTCUSDT@trade"], "id": "three-3"}
            unsubscribe = {"method": "UNSUBSCRIBE", "params": ["nosuch@depth"], "id": -2}
            assert await ask(ws, unsubscribe) == {"result": None, "id": -2}
            assert await ask(ws, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {
                "result": False,
                "id": 2,
            }
            await ask(ws, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5})
            assert (await ask(ws, {"method": "GET_PROPERTY", "params": ["combined"], "id": None}))[
                "result"
            ] is True
            server.feed.advance("BTCUSDT", 300)
            server.hub.flush()
            assert (await next_text(ws)).startswith('{"stream":"btcusdt@trade","data":{"e":"trade"')

    run(scenario)


@pytest.mark.parametrize(
    ("request_text", "code", "message"),
    [
        ("not json", 3, "Invalid JSON: expected value at line 1 column 1"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1.5}', 2, "Invalid request: "),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":true}', 2, "Invalid request: "),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":"%s"}' % ("x" * 37), 2, "Invalid request: "),
        ('{"method":"DANCE","id":1}', 2, "Invalid request: unknown variant `DANCE`"),
        ('{"params":["a@trade"],"id":1}', 2, "Invalid request: missing field `method`"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":1,"x":0}', 2, "Invalid request: unknown field `x`"),
        ('{"method":"SUBSCRIBE","params":[7],"id":1}', 2, "Invalid request: "),
        ('{"method":"SUBSCRIBE","params":"a@trade","id":1}', 2, "Invalid request: "),
        ("[1]", 2, "Invalid request: "),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":4}', 0, "Unknown property"),
        (
            '{"method":"SET_PROPERTY","params":["combined",1],"id":4}',
            1,
            "Invalid value type: expected Boolean",
        ),
    ],
)
def test_control_errors(request_text, code, message):
    async def scenario():
        async with sim(rate=0.0) as (server, session), connect(server, session, "/stream") as ws:
            answer = await ask(ws, request_text)
            assert list(answer)[:2] == ["code", "msg"] and answer["code"] == code
            assert answer["msg"].startswith(message)
            assert ("id" in answer) == (code == 0)
            assert (await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"] == []

    run(scenario)


def test_stream_limit_holds_for_messages_and_addresses():
    async def scenario():
        async with sim(rate=0.0, max_streams=4) as (server, session):
            async with connect(server, session, "/stream?streams=a@trade/b@trade/c@trade") as ws:
                two = {"method": "SUBSCRIBE", "params": ["d@trade", "e@trade"], "id": 1}
                assert (await ask(ws, two))["code"] == 2
                assert (await ask(ws, {**two, "params": ["a@trade", "d@trade"]}))["result"] is None
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await connect(server, session, "/stream?streams=a@1/b@1/c@1/d@1/e@1")

    run(scenario)


def test_strict_server_closes_on_the_sixth_message_in_a_second():
    async def scenario():
        async with sim(rate=0.0, strict=True) as (server, session), connect(server, session, "/ws") as ws:
            for number in range(6):
                await ws.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            answers = 0
            while (
                message := await asyncio.wait_for(ws.receive(), DEADLINE_S)
            ).type == aiohttp.WSMsgType.TEXT:
                answers += 1
            assert message.type == aiohttp.WSMsgType.CLOSE and message.data == 1008
            assert answers == 5

    run(scenario)


def test_server_pings_and_counts_only_pongs_with_the_payload():
    async def scenario():
        async with (
            sim(rate=0.0, ping_interval_s=0.05, pong_timeout_s=30.0) as (server, session),
            connect(server, session, "/ws", autoping=False) as ws,
        ):
            await until(lambda: len(server.hub.clients) == 1)
            (client,) = server.hub.clients.values()
            await ws.pong(b"unsolicited")
            message = await asyncio.wait_for(ws.receive(), DEADLINE_S)
            assert message.type == aiohttp.WSMsgType.PING and message.data.isdigit()
            assert client.pongs_received == 0
            await ws.pong(message.data)
            await until(lambda: client.pongs_received == 1)

    run(scenario)


def test_client_ping_is_answered_with_its_payload():
    async def scenario():
        async with sim(rate=0.0) as (server, session), connect(server, session, "/ws", autoping=False) as ws:
            await ws.ping(b"are you there")
            message = await asyncio.wait_for(ws.receive(), DEADLINE_S)
            assert message.type == aiohttp.WSMsgType.PONG and message.data == b"are you there"

    run(scenario)


def test_missing_pong_closes_the_connection():
    async def scenario():
        async with (
            sim(rate=0.0, ping_interval_s=0.05, pong_timeout_s=0.2) as (server, session),
            connect(server, session, "/ws", autoping=False) as ws,
        ):
            while (
                message := await asyncio.wait_for(ws.receive(), DEADLINE_S)
            ).type == aiohttp.WSMsgType.PING:
                pass
            assert message.type == aiohttp.WSMsgType.CLOSE and message.data == 1008

    run(scenario)


def test_slow_client_is_cut_and_does_not_stall_the_others():
    async def scenario():
        async with sim(client_buffer_bytes=200_000, depth_interval_ms=20) as (server, session):
            context = ssl.create_default_context(cafile=server.ca_file)
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect((server.host, server.port))
            raw.setblocking(False)
            # A stream that nobody reads from: its small window fills, then the sim's own buffer.
            reader, writer = await asyncio.open_connection(
                sock=raw, ssl=context, server_hostname="localhost", limit=1024
            )
            writer.write(
                b"GET /ws/btcusdt@depth@100ms HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )
            async with connect(server, session, "/ws/btcusdt@depth@100ms") as ws:
                last = None
                while not server.hub.slow_disconnects:
                    server.arm({"kind": "oversized", "symbol": "BTCUSDT", "levels": 2000})
                    event = json.loads(await next_text(ws))
                    assert last is None or event["U"] == last + 1
                    last = event["u"]
                event = json.loads(await next_text(ws))
                assert event["U"] == last + 1
                assert len(server.hub.clients) <= 2
            writer.transport.abort()
            del reader

    run(scenario)


def test_every_client_gets_the_same_rendered_bytes():
    async def scenario():
        async with (
            sim(rate=0.0, depth_interval_ms=5) as (server, session),
            connect(server, session, "/ws/btcusdt@depth@100ms") as one,
            connect(server, session, "/ws/btcusdt@depth@100ms") as other,
            connect(server, session, "/stream?streams=btcusdt@depth@100ms") as combined,
        ):
            await until(lambda: len(server.hub.streams.get("btcusdt@depth@100ms", ())) == 3)
            server.market("BTCUSDT").advance(10)
            text = await next_text(one)
            assert await next_text(other) == text
            assert await next_text(combined) == f'{{"stream":"btcusdt@depth@100ms","data":{text}}}'

    run(scenario)


@pytest.mark.parametrize("kind", ["depth", "depth5"])
def test_slow_depth_has_two_names_and_the_same_content(kind):
    async def scenario():
        async with sim(rate=0.0) as (server, session):
            streams = [f"btcusdt@{kind}", f"btcusdt@{kind}@1000ms"]
            async with connect(server, session, f"/stream?streams={'/'.join(streams)}") as ws:
                await until(lambda: len(server.hub.streams) == 2)
                server.feed.advance("BTCUSDT", 200)
                for suffix in ("", "@1000ms"):
                    server.feed.publisher.publish_depth(suffix)
                server.hub.flush()
                frames = [json.loads(await next_text(ws)) for _ in streams]
                assert [frame["stream"] for frame in frames] == streams
                first, second = ({k: v for k, v in frame["data"].items() if k != "E"} for frame in frames)
                assert first == second

    run(scenario)


def test_stream_that_there_is_none_of_is_acked_and_the_log_names_it_once(caplog):
    async def scenario():
        async with sim(rate=0.0) as (server, session):
            for _ in range(2):
                async with connect(server, session, "/ws/btcusdt@depth@100ms") as ws:
                    none = ["btcusdt@depth@250ms", "nopeusdt@trade", "BTCUSDT@trade"]
                    request = {"method": "SUBSCRIBE", "params": ["btcusdt@ticker", *none], "id": 1}
                    assert await ask(ws, request) == {"result": None, "id": 1}
            many = [f"none{number}@trade" for number in range(200)]
            async with connect(server, session, "/ws") as ws:
                assert (await ask(ws, {"method": "SUBSCRIBE", "params": many, "id": 1}))["result"] is None

    with caplog.at_level(logging.WARNING, "mdp.sim"):
        run(scenario)
    told = [record.message for record in caplog.records if "no stream" in record.message]
    assert len(told) == 100
    for name in ("btcusdt@depth@250ms", "nopeusdt@trade", "BTCUSDT@trade"):
        assert sum(f"no stream {name} here" in text for text in told) == 1
    assert not any("btcusdt@ticker" in text or "depth@100ms" in text for text in told)
