"""Faults below and around the frames: digits, headers, stalls, subscriptions, handshakes, TLS, snapshots."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
import time

import aiohttp
import pytest
from mdp.sim.spoil import alter_digit
from mdp.sim.wire.binance.families import NUMBERS
from python.sim_client import STREAM, ids_of, next_text, receive, run, until


@pytest.mark.parametrize("mode", ["price", "quantity", "id"])
def test_altered_digit_is_well_formed_and_wrong_in_one_place(mode):
    async def scenario(sim):
        async with sim.connect() as ws, sim.connect() as other:
            sim.arm("corrupt", mode=mode, client=1)
            sim.batch()
            bad, good = await next_text(ws), await next_text(other)
            assert len(bad) == len(good) and sum(a != b for a, b in zip(bad, good, strict=True)) == 1
            bad, good = json.loads(bad), json.loads(good)
            assert (bad["u"] != good["u"]) is (mode == "id")
            column = {"price": 0, "quantity": 1, "id": None}[mode]
            changed = [
                column
                for side in ("b", "a")
                for one, two in zip(bad[side], good[side], strict=True)
                for column in (0, 1)
                if one[column] != two[column]
            ]
            assert changed == ([] if column is None else [column])

    run(scenario)


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ('{"b":[["0.10","1.0"]]}', "price", '{"b":[["0.20","1.0"]]}'),
        (
            '{"b":[],"a":[["8.90","0.00"],["9.0","2.0"]]}',
            "price",
            '{"b":[],"a":[["8.80","0.00"],["9.0","2.0"]]}',
        ),
        ('{"b":[["1.1","0.00"],["1.0","2.0"]]}', "quantity", '{"b":[["1.1","0.00"],["1.0","3.0"]]}'),
        ('{"p":"5.0","q":"7"}', "quantity", '{"p":"5.0","q":"8"}'),
        ('{"U":11,"u":1230}', "id", '{"U":11,"u":1240}'),
        ('{"e":"serverShutdown"}', "price", '{"e":"serverShutdown"}'),
    ],
)
def test_digit_that_is_altered(text, mode, expected):
    assert alter_digit(text, NUMBERS[mode]) == expected


def test_header_claims_more_than_comes():
    async def scenario(sim):
        request = (
            f"GET /ws/{STREAM} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(sim.server.host, sim.server.port)
        writer.write(request.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await until(lambda: sim.hub.clients)
        sim.arm("oversized_header", bytes=1 << 33)
        sim.batch()
        assert struct.unpack("!BBQ", await reader.readexactly(10)) == (0x81, 127, 1 << 33)
        writer.close()

    run(scenario, tls=False)


def test_stall_ends_when_enough_frames_wait():
    async def scenario(sim):
        async with sim.connect() as ws:
            sim.arm("stall", frames=3)
            (client,) = sim.hub.clients.values()
            cuts = [sim.batch(), sim.batch()]
            assert client.unsent_bytes > 0
            cuts.append(sim.batch())
            assert client.unsent_bytes == 0
            assert await ids_of(ws, 3) == cuts

    run(scenario, tls=False)


def test_deaf_connection_stops_reading():
    async def scenario(sim):
        async with sim.connect(autoping=False) as ws:
            sim.arm("half_open", mode="deaf")
            (client,) = sim.hub.clients.values()
            assert not client.transport.is_reading()
            await ws.ping(b"x")
            sim.batch()
            assert client.unsent_bytes == 0 and not client.transport.is_closing()
            client.abort()

    run(scenario, tls=False)


async def subscribe(ws, *streams):
    await ws.send_str(json.dumps({"method": "SUBSCRIBE", "params": list(streams), "id": 7}))


@pytest.mark.parametrize("wrapped", [False, True])
def test_subscription_is_refused_in_the_venues_words_and_as_a_whole(wrapped):
    async def scenario(sim):
        async with sim.connect("/ws") as ws:
            error = {"code": 2, "msg": "Invalid request: unknown stream"}
            sim.arm("subscribe_error", stream="nosuch*", wrapped=wrapped)
            await subscribe(ws, STREAM, "nosuch@depth")
            answer = json.loads(await next_text(ws))
            assert answer == ({"error": error, "id": 7} if wrapped else {**error, "id": 7})
            assert not sim.hub.streams
            await subscribe(ws, STREAM)
            assert await next_text(ws) == '{"result":null,"id":7}'
            assert list(sim.hub.streams) == [STREAM]

    run(scenario)


def test_subscription_without_an_ack_has_data():
    async def scenario(sim):
        async with sim.connect("/ws") as ws:
            sim.arm("subscribe_no_ack", stream=STREAM)
            await subscribe(ws, STREAM)
            await until(lambda: STREAM in sim.hub.streams)
            cut = sim.batch()
            assert await ids_of(ws, 1) == [cut]

    run(scenario)


def test_silent_stream_is_acked_and_listed():
    async def scenario(sim):
        async with sim.connect("/ws") as ws:
            sim.arm("subscribe_silent", stream=STREAM)
            await subscribe(ws, STREAM, "btcusdt@trade")
            assert await next_text(ws) == '{"result":null,"id":7}'
            (client,) = sim.hub.clients.values()
            assert list(client.streams) == [STREAM, "btcusdt@trade"]
            assert not sim.hub.wanted(STREAM) and sim.hub.wanted("btcusdt@trade")
        sim.arm("subscribe_silent", stream=STREAM)
        async with sim.connect():  # named in the address
            assert not sim.hub.wanted(STREAM)
        async with sim.connect():
            assert sim.hub.wanted(STREAM)

    run(scenario)


def test_request_that_is_too_long_waits_for_the_next_ping_and_others_do_not():
    async def scenario(sim):
        async with sim.connect("/ws") as ws:
            sim.arm("request_long", bytes=100, count=1)
            await subscribe(ws, STREAM, *(f"coin{number}usdt@trade" for number in range(10)))
            await subscribe(ws, "btcusdt@trade")
            assert await next_text(ws) == '{"result":null,"id":7}'
            assert list(sim.hub.streams) == ["btcusdt@trade"]
            sim.hub.keep_alive(time.monotonic() + 3600)
            assert await next_text(ws) == '{"result":null,"id":7}'
            assert len(sim.hub.streams) == 12
            await subscribe(ws, *(f"coin{number}usdt@depth" for number in range(10)))
            assert await next_text(ws) == '{"result":null,"id":7}', "it was armed for one"

    run(scenario)


def test_request_that_is_too_long_is_lost_in_mode_never():
    async def scenario(sim):
        async with sim.connect("/ws") as ws:
            sim.arm("request_long", bytes=100, mode="never")
            await subscribe(ws, STREAM, *(f"coin{number}usdt@trade" for number in range(10)))
            await subscribe(ws, "btcusdt@trade")
            assert await next_text(ws) == '{"result":null,"id":7}'
            sim.hub.keep_alive(time.monotonic() + 3600)
            await subscribe(ws, "btcusdt@bookTicker")
            assert await next_text(ws) == '{"result":null,"id":7}'
            assert list(sim.hub.streams) == ["btcusdt@trade", "btcusdt@bookTicker"]

    run(scenario)


def test_stalled_upgrade_is_never_answered_and_the_next_one_is():
    async def scenario(sim):
        fault = sim.arm("upgrade_stall")
        waiting = asyncio.ensure_future(sim.session.ws_connect(sim.server.ws_url + "/ws"))
        await until(lambda: fault.fired)
        async with sim.connect("/ws"):
            assert not waiting.done() and len(sim.hub.clients) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run(scenario)


def test_stalled_tls_says_nothing_and_the_next_connection_is_served():
    async def scenario(sim):
        fault = sim.arm("tls_stall")
        waiting = asyncio.ensure_future(sim.get("/api/v3/ping"))
        await until(lambda: fault.fired)
        assert (await sim.get("/api/v3/ping"))[0] == 200
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run(scenario)


@pytest.mark.parametrize(
    ("flavour", "reason"),
    [
        ("expired", "certificate has expired"),
        ("wrong-host", "IP address mismatch"),
        ("untrusted", "unable to get local issuer|signature failure"),
        ("self-signed", "self.signed certificate"),
    ],
)
def test_bad_certificate_is_presented_as_often_as_asked(flavour, reason):
    async def scenario(sim):
        sim.arm("tls_certificate", flavour=flavour, count=2)
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match=reason) as refused:
                await sim.get("/api/v3/ping")
            assert isinstance(refused.value.certificate_error, ssl.SSLCertVerificationError)
        assert (await sim.get("/api/v3/ping"))[0] == 200

    run(scenario)


def test_rest_error_strikes_any_request():
    async def scenario(sim):
        sim.arm("rest_error", count=2, retry_after=4)
        for path in ("/api/v3/exchangeInfo", "/api/v3/depth?symbol=BTCUSDT"):
            status, headers, _ = await sim.get(path)
            assert (status, headers["Retry-After"]) == (503, "4")
        assert (await sim.get("/api/v3/exchangeInfo"))[0] == 200

    run(scenario)


def test_mislabeled_snapshot_has_old_levels_and_the_id_of_now():
    async def scenario(sim):
        sim.move(3000)
        sim.arm("snapshot_mislabeled", updates=500)
        body = await sim.snapshot()
        assert body["lastUpdateId"] == sim.market.update_id
        spec = sim.market.instrument
        for update_id, same in ((sim.market.update_id - 500, True), (sim.market.update_id, False)):
            bids, asks = sim.market.depth_at(update_id, 5000)
            levels = [[[spec.price_text(p), spec.quantity_text(q)] for p, q in side] for side in (bids, asks)]
            assert ([body["bids"], body["asks"]] == levels) is same
        body = await sim.snapshot()
        assert body["bids"][0][0] == spec.price_text(sim.market.top().bid_ticks)

    run(scenario)


def test_snapshot_is_late_by_updates():
    async def scenario(sim):
        taken = sim.market.update_id
        fault = sim.arm("snapshot_delay_ms", updates=40)
        late = asyncio.ensure_future(sim.snapshot())
        await until(lambda: fault.fired)
        while sim.market.changes < 40:
            assert not late.done()
            sim.move(1)
        assert (await late)["lastUpdateId"] == taken

    run(scenario)


def test_maintenance_refuses_handshakes_and_requests_for_a_while():
    async def scenario(sim):
        async with sim.connect() as raw, sim.connect("/stream") as combined:
            sim.arm("shutdown_notice")
            sim.arm("refuse_connect", count=2, retry_after=1)
            sim.arm("rest_error", count=1)
            assert json.loads(await next_text(raw))["e"] == "serverShutdown"
            assert json.loads(await next_text(combined))["stream"] == "!serverShutdown"
            for _ in range(2):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await sim.session.ws_connect(sim.server.ws_url + "/ws")
                assert refused.value.status == 503
            assert (await sim.get("/api/v3/ping"))[0] == 503
            async with sim.connect():
                assert (await sim.get("/api/v3/ping"))[0] == 200
            sim.arm("disconnect", mode="close", code=1012)
            assert (await receive(raw)).data == 1012

    run(scenario)
