"""Every fault does what its row in the table promises, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import zlib

import aiohttp
import pytest
from mdp.sim import FAULT_KINDS, FaultError
from mdp.sim.faults import FaultTable
from python.sim_client import DEADLINE_S, STREAM, ids_of, receive, run
from support.reference_book import ReferenceBook


async def next_ids(ws):
    return (await ids_of(ws, 1))[0]


def test_drop():
    async def scenario(sim):
        async with sim.connect() as ws:
            assert (await sim.post(kind="drop", stream=STREAM, count=2, skip=1))[0] == 200
            ids = [sim.batch() for _ in range(4)]
            assert [await next_ids(ws) for _ in range(2)] == [ids[0], ids[3]]

    run(scenario)


def test_duplicate():
    async def scenario(sim):
        async with sim.connect() as ws:
            await sim.post(kind="duplicate", stream="btcusdt@*")
            ids = [sim.batch() for _ in range(2)]
            assert [await next_ids(ws) for _ in range(3)] == [ids[0], ids[0], ids[1]]

    run(scenario)


def test_reorder():
    async def scenario(sim):
        async with sim.connect() as ws:
            await sim.post(kind="reorder", stream=STREAM)
            ids = [sim.batch() for _ in range(3)]
            assert [await next_ids(ws) for _ in range(3)] == [ids[1], ids[0], ids[2]]

    run(scenario)


@pytest.mark.parametrize("kind", ["corrupt", "truncate"])
@pytest.mark.parametrize("path", [f"/ws/{STREAM}", f"/stream?streams={STREAM}"])
def test_malformed_text(kind, path):
    async def scenario(sim):
        async with sim.connect(path) as ws:
            await sim.post(kind=kind, stream=STREAM)
            sim.batch()
            bad = (await receive(ws)).data
            with pytest.raises(json.JSONDecodeError):
                json.loads(bad)
            assert "depthUpdate" in bad
            sim.batch()
            json.loads((await receive(ws)).data)

    run(scenario)


def test_truncated_websocket_frame_ends_the_connection():
    async def scenario(sim):
        async with sim.connect() as ws:
            await sim.post(kind="truncate", mode="frame")
            sim.batch()
            assert (await receive(ws)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    run(scenario)


@pytest.mark.parametrize("mode", ["quantity", "crossed"])
def test_wrong_level_has_perfect_ids_and_a_wrong_book(mode):
    async def scenario(sim):
        async with sim.connect() as ws:
            ids = sim.batch()
            book = ReferenceBook()
            book.on_delta(json.loads((await receive(ws)).data))
            assert book.on_snapshot((await sim.depth())[2])
            await sim.post(kind="wrong_level", mode=mode)
            next_batch = sim.batch()
            assert next_batch[0] == ids[1] + 1
            book.on_delta(json.loads((await receive(ws)).data))
            assert book.last_id == next_batch[1]
            spec, top = sim.market.instrument, sim.market.top()
            bids, _ = book.depth(1)
            if mode == "crossed":
                assert book.crossed == 1
            else:
                assert bids[0] == [spec.price_text(top.bid_ticks), spec.quantity_text(top.bid_lots + 1)]

    run(scenario)


def test_oversized_frame_is_true():
    async def scenario(sim):
        async with sim.connect() as ws:
            sim.batch()
            book = ReferenceBook()
            book.on_delta(json.loads((await receive(ws)).data))
            assert book.on_snapshot((await sim.depth())[2])
            status, report = await sim.post(kind="oversized", stream=STREAM, levels=3000)
            assert status == 200 and report["fired"] == 1
            sim.batch()
            text = (await receive(ws)).data
            event = json.loads(text)
            assert len(event["b"]) + len(event["a"]) >= 3000 and len(text) > 65_536
            book.on_delta(event)
            spec = sim.market.instrument
            bids, asks = sim.market.depth_at(book.last_id, 9000)
            assert book.depth(9000) == tuple(
                [[spec.price_text(p), spec.quantity_text(q)] for p, q in side] for side in (bids, asks)
            )

    run(scenario)


@pytest.mark.parametrize("back", [0, 30])
def test_ids_begin_anew_in_streams_and_snapshots_and_the_book_stays(back):
    async def scenario(sim):
        path = f"/stream?streams={STREAM}/btcusdt@trade/btcusdt@bookTicker"
        async with sim.connect(path) as ws:
            before = sim.batch(400)
            book, trades = sim.market.depth(5000), []
            while not trades or json.loads(trades[-1])["stream"] != STREAM:
                trades.append((await receive(ws)).data)
            old_trade = max(json.loads(t)["data"]["t"] for t in trades if "@trade" in t)
            status, report = await sim.post(kind="ids_begin_anew", symbol="BTCUSDT", back=back)
            assert (status, report["fired"]) == (200, 1)
            first = before[1] - back if back else 1
            assert (await sim.snapshot())["lastUpdateId"] == first
            assert sim.market.depth_at(first, 5000) == book
            after = sim.batch(400)
            assert after[0] == first + 1
            seen = {"quote": [], "trade": []}
            while True:
                event = json.loads((await receive(ws)).data)
                if event["stream"] == STREAM:
                    break
                data = event["data"]
                seen["trade" if "t" in data else "quote"].append(data["t"] if "t" in data else data["u"])
            assert (event["data"]["U"], event["data"]["u"]) == after
            assert seen["trade"][0] == (old_trade - back if back else 0) + 1
            assert first < seen["quote"][0] <= seen["quote"][-1] <= after[1]
            assert len(sim.hub.clients) == 1

    run(scenario)


@pytest.mark.parametrize("mode", ["reset", "abort", "close"])
def test_disconnect(mode):
    async def scenario(sim):
        async with sim.connect() as ws:
            await sim.post(kind="disconnect", mode=mode, code=1012)
            message = await receive(ws)
            if mode == "close":
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
            else:
                assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            while sim.server.hub.clients:
                await asyncio.sleep(0.001)

    run(scenario)


@pytest.mark.parametrize("mode", ["reset", "abort"])
def test_disconnect_as_the_socket_sees_it(mode):
    async def scenario(sim):
        # Below TLS and below a WebSocket library, which would both hide the difference between RST and FIN.
        sock = socket.create_connection((sim.server.host, sim.server.port))
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(
            sock,
            f"GET /ws/{STREAM} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await asyncio.wait_for(loop.sock_recv(sock, 4096), DEADLINE_S)
        assert answer.startswith(b"HTTP/1.1 101 ")
        while not sim.server.hub.clients:
            await asyncio.sleep(0.001)
        await sim.post(kind="disconnect", mode=mode)
        reading = asyncio.wait_for(loop.sock_recv(sock, 4096), DEADLINE_S)
        if mode == "reset":
            with pytest.raises(ConnectionResetError):
                await reading
        else:
            assert await reading == b""  # the end, and no closing frame before it
        sock.close()

    run(scenario, tls=False)


@pytest.mark.parametrize("mode", ["reset", "abort"])
def test_cut_connection_may_be_closed_again_before_the_next_flush(mode):
    async def scenario(sim):
        async with sim.connect(), sim.connect() as other:
            hub = sim.server.hub
            sim.market.advance(20)
            sim.server.feed.publisher.publish_depth("@100ms")
            client = hub.clients[1]
            await sim.post(kind="disconnect", client=1, mode=mode)
            hub._dirty[1] = client
            client.transport.close()  # as aiohttp does when it learns of the end
            hub.flush()
            assert client.report()["unsentBytes"] == 0
            hub.clients[1] = client  # not forgotten yet
            for kind in ("disconnect", "half_open", "stall"):
                assert (await sim.post(kind=kind, client=1))[1]["fired"] == 0
            hub.remove(client)
            await next_ids(other)

    run(scenario)


def test_disconnect_of_one_client_leaves_the_other():
    async def scenario(sim):
        async with sim.connect() as one, sim.connect() as other:
            while len(sim.server.hub.clients) < 2:
                await asyncio.sleep(0.001)
            first, _ = sim.server.hub.clients
            await sim.post(kind="disconnect", client=first)
            assert (await receive(one)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            ids = sim.batch()
            assert await next_ids(other) == ids

    run(scenario)


def test_stall_holds_frames_back_and_loses_none():
    async def scenario(sim):
        async with sim.connect() as ws:
            await sim.post(kind="stall", ms=60_000)
            ids = [sim.batch() for _ in range(3)]
            (client,) = sim.server.hub.clients.values()
            assert client.unsent_bytes > 0
            client.end_stall()  # a minute goes by
            assert [await next_ids(ws) for _ in range(3)] == ids

    run(scenario)


def test_half_open_says_nothing_and_stays():
    async def scenario(sim):
        async with sim.connect(autoping=False) as ws:
            await sim.post(kind="half_open")
            sim.batch()
            await ws.ping(b"x")
            assert (await sim.depth())[0] == 200
            (client,) = sim.server.hub.clients.values()
            assert client.unsent_bytes == 0 and not client.transport.is_closing()

    run(scenario, ping_interval_s=0.02, pong_timeout_s=0.1)


def test_shutdown_notice():
    async def scenario(sim):
        async with sim.connect() as raw, sim.connect("/stream") as combined:
            while len(sim.server.hub.clients) < 2:
                await asyncio.sleep(0.001)
            await sim.post(kind="shutdown_notice")
            event = json.loads((await receive(raw)).data)
            assert list(event) == ["e", "E"] and event["e"] == "serverShutdown"
            wrapped = (await receive(combined)).data
            assert wrapped.startswith('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":')

    run(scenario)


def test_no_ping_stops_and_starts_pings():
    async def scenario(sim):
        await sim.post(kind="no_ping")
        async with sim.connect(autoping=False) as ws:
            (client,) = sim.server.hub.clients.values()
            sim.server.hub.keep_alive(client.last_ping + 1e4)
            assert client.pings_sent == 0
            await sim.post(kind="no_ping", on=False)
            assert (await receive(ws)).type == aiohttp.WSMsgType.PING

    run(scenario, ping_interval_s=0.02)


def test_refuse_connect():
    async def scenario(sim):
        await sim.post(kind="refuse_connect", count=1, status=429, retry_after=3)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await sim.session.ws_connect(f"{sim.server.ws_url}/ws")
        assert refused.value.status == 429 and refused.value.headers["Retry-After"] == "3"
        async with sim.connect():
            pass

    run(scenario)


def test_snapshot_stale():
    async def scenario(sim):
        sim.market.advance(5000)
        await sim.post(kind="snapshot_stale", updates=777)
        body = json.loads((await sim.depth())[2])
        assert body["lastUpdateId"] == sim.market.update_id - 777
        spec = sim.market.instrument
        bids, _ = sim.market.depth_at(body["lastUpdateId"], 5000)
        assert body["bids"] == [[spec.price_text(p), spec.quantity_text(q)] for p, q in bids]
        assert json.loads((await sim.depth())[2])["lastUpdateId"] == sim.market.update_id

    run(scenario)


@pytest.mark.parametrize(("status", "code"), [(500, -1000), (429, -1003), (418, -1003)])
def test_snapshot_error(status, code):
    async def scenario(sim):
        await sim.post(kind="snapshot_error", status=status, retry_after=7, symbol="BTC*")
        answer = await sim.depth()
        assert (
            answer[0] == status and answer[1]["Retry-After"] == "7" and json.loads(answer[2])["code"] == code
        )
        assert (await sim.depth())[0] == 200

    run(scenario)


def test_snapshot_of_a_symbol_that_is_not_known_any_more():
    async def scenario(sim):
        await sim.post(kind="snapshot_unknown")
        status, _, body = await sim.depth()
        assert (status, json.loads(body)) == (400, {"code": -1121, "msg": "Invalid symbol."})
        assert (await sim.depth())[0] == 200

    run(scenario)


def test_snapshot_error_as_html_and_truncated_body():
    async def scenario(sim):
        await sim.post(kind="snapshot_error", status=502, html=True)
        status, headers, body = await sim.depth()
        assert status == 502 and headers["Content-Type"].startswith("text/html") and body.startswith("<html>")
        await sim.post(kind="snapshot_truncate")
        status, _, body = await sim.depth()
        assert status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)

    run(scenario)


def test_rest_body_is_sent_byte_for_byte_where_its_path_matches():
    async def scenario(sim):
        body = b"Malm\xf6 \x00"
        headers = {"Server": "waf", "Content-Type": "text/html"}
        text = base64.b64encode(body).decode()
        await sim.post(kind="rest_body", body=text, status=403, headers=headers, path="exchange*")
        assert (await sim.depth())[0] == 200
        async with sim.session.get(f"{sim.server.rest_url}/api/v3/exchangeInfo") as answer:
            assert answer.status == 403 and await answer.read() == body
            assert {name: answer.headers[name] for name in headers} == headers
        assert (await sim.get("/api/v3/exchangeInfo"))[0] == 200, "it struck once"

    run(scenario)


@pytest.mark.parametrize(("coding", "window"), [("gzip", 31), ("deflate", 15), ("raw-deflate", -15)])
def test_rest_coded_is_the_true_answer_compressed(coding, window):
    async def scenario(sim):
        truth = await sim.snapshot()
        await sim.post(kind="rest_coded", coding=coding, count=2, path="depth")
        await sim.post(kind="rest_coded", coding=coding, named=False, cut=3, path="depth")
        url = f"{sim.server.rest_url}/api/v3/depth?symbol=BTCUSDT&limit=5000"
        async with sim.session.get(url) as answer:  # which aiohttp decodes
            assert answer.headers["Content-Encoding"] == coding.removeprefix("raw-")
            assert await answer.json() == truth
        async with sim.session.get(url, auto_decompress=False) as answer:
            whole = await answer.read()
            assert json.loads(zlib.decompress(whole, window)) == truth
        plain = {"Accept-Encoding": "identity"}  # or the exchange compresses it once more, as it was asked to
        async with sim.session.get(url, headers=plain) as answer:
            assert "Content-Encoding" not in answer.headers and await answer.read() == whole[:-3]

    run(scenario)


def test_snapshot_delay_sends_the_book_of_the_request():
    async def scenario(sim):
        before = sim.market.update_id
        await sim.post(kind="snapshot_delay_ms", ms=30)
        slow = asyncio.ensure_future(sim.depth())
        while sim.server.faults.report()[0]["fired"] == 0:
            await asyncio.sleep(0.001)
        sim.market.advance(10)
        assert json.loads((await slow)[2])["lastUpdateId"] == before

    run(scenario)


def test_reports_say_what_fired_and_can_be_cleared():
    async def scenario(sim):
        async with sim.connect() as ws:
            await sim.post(kind="duplicate", stream=STREAM, count=0)
            sim.batch()
            await next_ids(ws)
            url = f"{sim.server.rest_url}/sim/fault"
            async with sim.session.get(url) as response:
                (report,) = await response.json()
            assert report["fired"] == 1 and report["remaining"] == -1
            async with sim.session.delete(url) as response:
                assert response.status == 200
            await next_ids(ws)
            ids = [sim.batch() for _ in range(2)]
            assert [await next_ids(ws) for _ in range(2)] == ids

    run(scenario)


def test_unknown_kind_and_bad_parameters_are_refused():
    async def scenario(sim):
        status, answer = await sim.post(kind="earthquake")
        assert status == 400 and answer["allowed"] == list(FAULT_KINDS) and "earthquake" in answer["error"]

    run(scenario)
    table = FaultTable()
    for bad, text in (
        ({}, "None"),
        ({"kind": "drop", "speed": 1}, "speed"),
        ({"kind": "drop", "count": "1"}, "count must be int"),
        ({"kind": "drop", "count": True}, "count must be int"),
        ({"kind": "stall", "ms": -1}, "must not be negative"),
        ({"kind": "disconnect", "mode": "gently"}, "reset, abort, close"),
    ):
        with pytest.raises(FaultError, match=text):
            table.add(bad)
    assert table.report() == []
