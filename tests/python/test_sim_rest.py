"""REST side of the sim: bodies, weights, limits, error shapes, and the side path that tells the truth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl

import aiohttp
import pytest
from mdp.sim import SimOptions, SimServer
from mdp.sim.limits import SlidingWindow, WeightLedger
from mdp.sim.wire.binance.instruments import BUILT_IN


@contextlib.asynccontextmanager
async def sim(**changes):
    """A server whose market stands still, and a function that GETs from it."""
    async with SimServer(SimOptions(**{"rate": 0.0, **changes})) as server:
        trust = ssl.create_default_context(cafile=server.ca_file) if server.ca_file else False
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def get(path, **kwargs):
                async with session.get(server.rest_url + path, **kwargs) as response:
                    return response.status, response.headers, await response.text()

            yield server, get


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


def test_ping_and_time():
    async def scenario():
        async with sim() as (_, get):
            assert (await get("/api/v3/ping"))[2] == "{}"
            assert re.fullmatch(r'\{"serverTime":\d{13}\}', (await get("/api/v3/time"))[2])
            micro = await get("/api/v3/time", headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
            assert re.fullmatch(r'\{"serverTime":\d{16}\}', micro[2])

    run(scenario)


def test_depth_snapshot_has_the_venue_form_and_the_true_book():
    async def scenario():
        async with sim() as (server, get):
            server.market("BTCUSDT").advance(500)
            pair = r'\["\d+\.\d{8}","\d+\.\d{8}"\]'
            for query, expected in (
                ("", 100),
                ("&limit=5", 5),
                ("&limit=1000", 1000),
                ("&limit=99999", 5000),
            ):
                status, _, body = await get(f"/api/v3/depth?symbol=BTCUSDT{query}")
                assert status == 200
                assert re.fullmatch(
                    rf'\{{"lastUpdateId":\d+,"bids":\[{pair}(,{pair})*\],"asks":\[{pair}(,{pair})*\]\}}', body
                )
                book = json.loads(body)
                _, _, truth = await get(
                    f"/sim/truth?symbol=BTCUSDT&updateId={book['lastUpdateId']}&depth={expected}"
                )
                assert {key: json.loads(truth)[key] for key in ("bids", "asks")} == {
                    key: book[key] for key in ("bids", "asks")
                }
                assert len(book["bids"]) == min(expected, len(server.market("BTCUSDT").bids))

    run(scenario)


@pytest.mark.parametrize(
    ("limit", "weight"),
    [
        (None, 5),
        (1, 5),
        (100, 5),
        (101, 25),
        (500, 25),
        (501, 50),
        (1000, 50),
        (1001, 250),
        (5000, 250),
        (9999, 250),
    ],
)
def test_depth_weight(limit, weight):
    async def scenario():
        async with sim(symbols=1) as (_, get):
            used = []
            for _ in range(2):
                query = "" if limit is None else f"&limit={limit}"
                _, headers, _ = await get(f"/api/v3/depth?symbol=BTCUSDT{query}")
                used.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
            # A new minute between the two resets the count; then the second shows the weight alone.
            assert used[1] - used[0] == weight or used[1] == weight

    run(scenario)


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/api/v3/depth?symbol=NOPEUSDT", -1121, "Invalid symbol."),
        ("/api/v3/depth?symbol=btcusdt", -1121, "Invalid symbol."),
        ("/api/v3/depth", -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        (
            "/api/v3/depth?symbol=",
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
        ),
        (
            "/api/v3/depth?symbol=BTC/USDT",
            -1100,
            "Illegal characters found in parameter 'symbol'; legal range is '",
        ),
        (
            "/api/v3/depth?symbol=BTCUSDT&limit=x",
            -1100,
            "Illegal characters found in parameter 'limit'; legal",
        ),
        (
            "/api/v3/depth?symbol=BTCUSDT&limit=-5",
            -1100,
            "Illegal characters found in parameter 'limit'; legal",
        ),
        (
            "/api/v3/depth?symbol=BTCUSDT&limit=0",
            -1100,
            "Illegal characters found in parameter 'limit'; legal",
        ),
        (
            "/api/v3/depth?symbol=BTCUSDT&a=1",
            -1104,
            "Not all sent parameters were read; read '1' parameter(s) but",
        ),
        ("/api/v3/depth?symbol=BTCUSDT&symbol=BTCUSDT", -1101, "Duplicate values for a parameter detected."),
        ("/api/v3/depth?symbol=BTCUSDT&symbolStatus=HALT", -1220, "The symbol's status does not match"),
        ("/api/v3/exchangeInfo?symbol=NOPE", -1121, "Invalid symbol."),
        (
            "/api/v3/exchangeInfo?symbols=BTCUSDT",
            -1100,
            "Illegal characters found in parameter 'symbols'; legal",
        ),
        ('/api/v3/exchangeInfo?symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128, "Combination of optional"),
    ],
)
def test_bad_parameters(path, code, message):
    async def scenario():
        async with sim() as (_, get):
            status, headers, body = await get(path)
            assert status == 400 and headers["Content-Type"].startswith("application/json")
            assert body.startswith(f'{{"code":{code},"msg":"{message}')

    run(scenario)


def test_exchange_info_shape_and_filters():
    async def scenario():
        async with sim() as (server, get):
            info = json.loads((await get("/api/v3/exchangeInfo"))[2])
            assert list(info) == ["timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"]
            assert info["rateLimits"][0] == {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6000,
            }
            assert [entry["symbol"] for entry in info["symbols"]] == server.feed.symbols
            assert len(info["symbols"]) == 8
            for entry, spec in zip(info["symbols"], BUILT_IN[:8], strict=True):
                filters = {row["filterType"]: row for row in entry["filters"]}
                assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= set(filters)
                assert (
                    entry["status"] == "TRADING" and entry["baseAsset"] + entry["quoteAsset"] == spec.symbol
                )
                assert filters["PRICE_FILTER"]["tickSize"] == spec.price_text(1)
                assert filters["LOT_SIZE"]["stepSize"] == spec.quantity_text(1)
            one = json.loads((await get("/api/v3/exchangeInfo?symbol=ETHUSDT"))[2])
            assert [entry["symbol"] for entry in one["symbols"]] == ["ETHUSDT"]
            two = json.loads((await get('/api/v3/exchangeInfo?symbols=["SOLUSDT","BTCUSDT"]'))[2])
            assert {entry["symbol"] for entry in two["symbols"]} == {"SOLUSDT", "BTCUSDT"}

    run(scenario)


def test_weight_beyond_the_budget_is_429_with_retry_after():
    async def scenario():
        async with sim(symbols=1, weight_limit=120) as (_, get):
            while True:  # a minute may end in between; the budget is then used up in the next one
                status, headers, body = await get("/api/v3/depth?symbol=BTCUSDT&limit=1000")
                if status != 200:
                    break
            assert status == 429 and 1 <= int(headers["Retry-After"]) <= 60
            assert int(headers["X-MBX-USED-WEIGHT-1M"]) > 120
            assert json.loads(body)["code"] == -1003
            assert json.loads(body)["msg"].startswith(
                "Too much request weight used; current limit is 120 request"
            )

    run(scenario)


def test_ledger_bans_who_goes_on_and_forgives_with_the_minute():
    now = [60_000.0]
    ledger = WeightLedger(100, ban_after=2, clock=lambda: now[0])
    assert ledger.charge("a", 100) is None
    assert [ledger.charge("a", 5).status for _ in range(3)] == [429, 429, 418]
    assert ledger.charge("b", 100) is None
    now[0] += 60
    banned = ledger.charge("a", 5)
    assert banned.status == 418 and banned.retry_after_s <= 61
    assert re.match(r"Way too much request weight used; IP banned until \d{8}\.", banned.message)
    now[0] += 61
    assert ledger.charge("a", 5) is None and ledger.used("a") == 5


def test_sliding_window_counts_the_last_second_only():
    window = SlidingWindow(2, 1.0)
    assert [window.allow(t) for t in (0.0, 0.5, 0.9, 2.5)] == [True, True, False, True]


def test_truth_reaches_back_and_names_its_limits():
    async def scenario():
        async with sim(symbols=1) as (server, get):
            market = server.market("BTCUSDT")
            start = market.update_id
            old = market.depth(20)
            market.advance(20_000)  # more than a minute at the demo's rate
            status, _, body = await get(f"/sim/truth?symbol=BTCUSDT&updateId={start}")
            spec = market.instrument
            assert status == 200
            assert json.loads(body) == {
                "symbol": "BTCUSDT",
                "updateId": start,
                "changes": 0,
                "bids": [[spec.price_text(p), spec.quantity_text(q)] for p, q in old[0]],
                "asks": [[spec.price_text(p), spec.quantity_text(q)] for p, q in old[1]],
            }
            for query, expected in (
                (f"symbol=BTCUSDT&updateId={start - 1}", 404),
                (f"symbol=BTCUSDT&updateId={market.update_id + 1}", 404),
                ("symbol=NOPE&updateId=1", 404),
                ("symbol=BTCUSDT&updateId=x", 400),
                (f"symbol=BTCUSDT&updateId={start}&depth=0", 400),
            ):
                status, _, body = await get(f"/sim/truth?{query}")
                assert status == expected and json.loads(body)["reason"]

    run(scenario)


def test_name_with_several_addresses_is_served_at_each():
    async def scenario():
        async with sim(host="localhost", tls=False) as (server, _):
            for family, _, _, _, address in set(
                socket.getaddrinfo("localhost", server.port, type=socket.SOCK_STREAM)
            ):
                try:
                    reader, writer = await asyncio.open_connection(address[0], server.port, family=family)
                except OSError:
                    assert family == socket.AF_INET6  # a machine may have none
                    continue
                writer.write(b"GET /api/v3/ping HTTP/1.0\r\n\r\n")
                assert (await reader.read()).endswith(b"{}")
                writer.close()

    run(scenario)


def test_address_in_use_is_an_error():
    async def scenario():
        async with sim() as (server, _):
            with pytest.raises(OSError, match="in use"):
                await SimServer(SimOptions(rate=0.0, symbols=1, port=server.port)).start()

    run(scenario)


def test_status_names_update_ids():
    async def scenario():
        async with sim(symbols=["ETHUSDT"]) as (server, get):
            status = json.loads((await get("/sim/status"))[2])
            assert status["symbols"]["ETHUSDT"]["updateId"] == server.market("ETHUSDT").update_id
            assert status["symbols"]["ETHUSDT"]["changes"] == 0
            assert status["clients"] == [] and status["replay"] is None and status["framesSent"] == 0
            assert status["snapshots"] == {}
            await get("/api/v3/depth", params={"symbol": "ETHUSDT"})
            await get("/api/v3/depth", params={"symbol": "ETHUSDT", "limit": "5"})
            assert json.loads((await get("/sim/status"))[2])["snapshots"] == {"ETHUSDT": 2}

    run(scenario)
