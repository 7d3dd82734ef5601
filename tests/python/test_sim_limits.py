"""Limits of the sim: what is enforced, per family and address, and what its counters tell about clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import aiohttp
import pytest
from mdp.sim import FAMILIES, Counters, SimOptions, SimServer

DEADLINE_S = 60
SYMBOLS = ["BTCUSDT", "BTCUSD_PERP"]
DEPTH = {
    "binance": "/api/v3/depth?symbol=BTCUSDT&limit=1000",
    "binance-usdm": "/fapi/v1/depth?symbol=BTCUSDT&limit=1000",
    "binance-coinm": "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000",
}
PATH = {"binance": "/ws", "binance-usdm": "/public/ws", "binance-coinm": "/ws"}


class Exchange:
    """A server of all families whose markets stand still, and a session that trusts it."""

    def __init__(self, server, session):
        self.server = server
        self.session = session

    async def get(self, family, path):
        async with self.session.get(self.server.venues[family].rest_url + path) as response:
            return response.status, response.headers, await response.text()

    def connect(self, family="binance", **kwargs):
        return self.session.ws_connect(self.server.venues[family].ws_url + PATH[family], **kwargs)


@contextlib.asynccontextmanager
async def exchange(**changes):
    options = {"families": list(FAMILIES), "symbols": SYMBOLS, "rate": 0.0, **changes}
    async with SimServer(SimOptions(**options)) as server:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Exchange(server, session)


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


async def until_closed(ws):
    """Return the texts received, and the close code."""
    texts = []
    while (message := await asyncio.wait_for(ws.receive(), DEADLINE_S)).type != aiohttp.WSMsgType.CLOSE:
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING), message
        texts.append(message.data)
    return texts, message.data


def test_futures_share_one_budget_and_spot_has_its_own():
    async def scenario():
        async with exchange() as sim:
            while True:  # again, if the minute ends in between
                used = [
                    int((await sim.get(family, DEPTH[family]))[1]["X-MBX-USED-WEIGHT-1M"])
                    for family in ("binance", "binance-usdm", "binance-coinm", "binance-usdm")
                ]
                if used[0] >= 50 and used[1] >= 20 and used[3] - used[1] == 40:
                    break
            assert used[2] - used[1] == used[3] - used[2] == 20
            weights = sim.server.counters.weight_per_minute
            assert {pool for pool, _ in weights} == {"spot", "futures"}
            assert sum(w for (pool, _), w in weights.items() if pool == "futures") % 60 == 0

    run(scenario)


def test_refused_requests_become_a_ban_and_are_counted():
    async def scenario():
        async with exchange(weight_limit=30, ban_after=2) as sim:
            statuses = []
            while 418 not in statuses:
                status, headers, body = await sim.get("binance-usdm", DEPTH["binance-usdm"])
                statuses.append(status)
                if status != 200:
                    assert int(headers["Retry-After"]) >= 1 and json.loads(body)["code"] == -1003
            assert statuses[-3:] == [429, 429, 418] and headers["Retry-After"] == "120"
            # The ban is the address's on both futures families, and not on spot, which has its own limits.
            assert (await sim.get("binance-coinm", DEPTH["binance-coinm"]))[0] == 418
            assert (await sim.get("binance", "/api/v3/ping"))[0] == 200
            counters = sim.server.counters
            assert counters.violations["weight"] == statuses.count(429)
            assert counters.violations["banned_request"] == 2
            assert counters.violations["early_request"] >= 3
            async with sim.session.get(f"{sim.server.rest_url}/sim/status") as response:
                report = (await response.json())["counters"]
            assert report["violations"] == dict(counters.violations)
            assert [row["status"] for row in report["refusals"]][-2:] == [418, 418]

    run(scenario)


def test_counters_tell_whether_retry_after_was_obeyed():
    now = [1_000.0]
    counters = Counters(clock=lambda: now[0])
    counters.request("spot", 50)
    counters.refused("spot", 429, 30)
    now[0] += 29.5
    counters.request("futures", 20)  # another budget
    assert not counters.violations["early_request"]
    counters.request("spot", 5)
    assert counters.violations["early_request"] == 1
    now[0] += 0.5
    counters.request("spot", 5)
    assert counters.violations["early_request"] == 1
    (record,) = counters.refusals
    assert (record.pool, record.retry_after_s, record.requests_after_s) == ("spot", 30, [29.5, 30.0])
    assert counters.weight_per_minute[("spot", 16)] == 50 and counters.weight_per_minute[("spot", 17)] == 10


def test_injected_refusals_count_like_real_ones():
    async def scenario():
        async with exchange() as sim:
            sim.server.arm({"kind": "snapshot_error", "status": 429, "retry_after": 600})
            sim.server.arm({"kind": "rest_error", "status": 418, "retry_after": 600, "skip": 1})
            assert (await sim.get("binance", DEPTH["binance"]))[0] == 429
            assert (await sim.get("binance", "/api/v3/ping"))[0] == 418
            assert (await sim.get("binance", "/api/v3/ping"))[0] == 200
            counters = sim.server.counters
            assert [record.status for record in counters.refusals] == [429, 418]
            assert [len(record.requests_after_s) for record in counters.refusals] == [1, 1]
            assert counters.violations["early_request"] == 2

    run(scenario)


@pytest.mark.parametrize(("family", "limit"), [("binance", 5), ("binance-usdm", 10), ("binance-coinm", 10)])
def test_strict_families_disconnect_who_talks_too_much(family, limit):
    async def scenario():
        async with exchange(strict=True) as sim, sim.connect(family, autoping=False) as ws:
            for number in range(limit):
                await ws.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            await ws.ping(b"one too many")
            texts, code = await until_closed(ws)
            assert [json.loads(text)["id"] for text in texts] == list(range(limit)) and code == 1008
            assert sim.server.counters.violations == {"messages": 1}

    run(scenario)


def test_strict_sim_refuses_too_many_connections_of_an_address():
    async def scenario():
        async with exchange(strict=True, connects_per_5_min=3) as sim:
            for _ in range(3):
                async with sim.connect():
                    pass
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await sim.connect()
            assert refused.value.status == 429
            async with sim.connect("binance-coinm"):  # another host on the venue
                pass
            counters = sim.server.counters
            assert (counters.connects, counters.connects_refused) == (4, 1)
            assert counters.violations == {"connects": 1}

    run(scenario)


def test_lenient_sim_counts_what_it_does_not_enforce():
    async def scenario():
        async with (
            exchange(connects_per_5_min=1, client_messages_per_s=2) as sim,
            sim.connect(),
            sim.connect() as ws,
        ):
            for number in range(3):
                await ws.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            for _ in range(3):
                assert (await asyncio.wait_for(ws.receive(), DEADLINE_S)).type == aiohttp.WSMsgType.TEXT
            assert sim.server.counters.violations == {"connects": 1, "messages": 1}

    run(scenario)


def test_streams_beyond_the_limit_are_a_violation():
    async def scenario():
        async with exchange() as sim, sim.connect() as ws:
            names = [f"s{number}@trade" for number in range(1025)]
            for params, ok in ((names[:1024], True), (names[1024:], False)):
                await ws.send_str(json.dumps({"method": "SUBSCRIBE", "params": params, "id": 1}))
                answer = json.loads((await asyncio.wait_for(ws.receive(), DEADLINE_S)).data)
                assert ("result" in answer) is ok
            assert sim.server.counters.violations == {"streams": 1}

    run(scenario)


def test_connection_ends_at_its_age_limit():
    async def scenario():
        async with exchange() as sim, sim.connect("binance-usdm") as ws:
            hub = sim.server.venues["binance-usdm"].hub
            while not hub.clients:
                await asyncio.sleep(0.001)
            (client,) = hub.clients.values()
            client.ping_payloads.clear()
            client.last_ping = client.opened + 86_399
            hub.keep_alive(client.opened + 86_399)
            assert not client.closed
            hub.keep_alive(client.opened + 86_401)
            assert (await until_closed(ws))[1] == 1001
            assert sim.server.counters.expired_connections == 1

    run(scenario)


@pytest.mark.parametrize(
    ("family", "interval", "owed"),
    [("binance", 20, 60), ("binance-usdm", 180, 600), ("binance-coinm", 180, 600)],
)
def test_keep_alive_has_the_times_of_the_family(family, interval, owed):
    async def scenario():
        async with exchange() as sim, sim.connect(family, autoping=False) as ws:
            hub = sim.server.venues[family].hub
            while not hub.clients:
                await asyncio.sleep(0.001)
            (client,) = hub.clients.values()
            opened = client.last_ping
            hub.keep_alive(opened + interval - 1)
            assert client.pings_sent == 0
            hub.keep_alive(opened + interval + 1)
            assert client.pings_sent == 1
            hub.keep_alive(opened + interval + owed - 1)
            assert not client.closed
            hub.keep_alive(opened + interval + owed + 2)
            assert (await until_closed(ws))[1] == 1008
            assert sim.server.counters.violations == {"pong": 1}

    run(scenario)
