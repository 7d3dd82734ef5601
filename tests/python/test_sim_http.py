"""What every REST answer of the sim has, whatever was asked: methods, paths, encodings, headers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging

import aiohttp
import pytest
from mdp.sim import FAMILIES, SimOptions, SimServer

BASE = {name: row.rest_bases[0] for name, row in FAMILIES.items()}


@contextlib.asynccontextmanager
async def sim(family="binance"):
    """A server whose market stands still, and a function that asks it and does not decode the body."""
    async with (
        SimServer(SimOptions(rate=0.0, tls=False, families=[family])) as server,
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as session,
    ):

        async def ask(path, method="GET", **kwargs):
            async with session.request(method, server.rest_url + path, **kwargs) as response:
                return response.status, response.headers, await response.read()

        yield server, ask


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


@pytest.mark.parametrize("family", FAMILIES)
def test_head_and_a_slash_at_the_end_find_every_route(family):
    async def scenario():
        async with sim(family) as (server, ask):
            paths = [path for path, _ in server.venues[family].rest.routes()]
            assert len(paths) == 2 * len({path.rstrip("/") for path in paths})
            for path in paths:
                (get, _, _), (head, headers, body) = await ask(path), await ask(path, "HEAD")
                assert get == head != 404 and body == b"", path
                assert int(headers["X-MBX-USED-WEIGHT-1M"]) > 0
            assert (await ask(f"{BASE[family]}/ping/"))[2] == b"{}"

    run(scenario)


def test_head_says_how_long_the_body_would_be():
    async def scenario():
        async with sim() as (_, ask):
            path = "/api/v3/depth?symbol=BTCUSDT&limit=5"
            _, _, body = await ask(path)
            _, headers, _ = await ask(path, "HEAD")
            assert int(headers["Content-Length"]) == len(body)
            _, headers, body = await ask(path, "HEAD", headers={"Accept-Encoding": "gzip"})
            assert headers["Content-Encoding"] == "gzip" and body == b""
            assert (await ask("/api/v3/ping"))[2] == b"{}"  # the connection is still in step

    run(scenario)


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        (None, False),
        ("identity", False),
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("br, *", True),
        ("gzip;q=0, *", False),
        ("gzip;q=0.000", False),
        ("deflate, br", False),
    ],
)
def test_body_is_compressed_for_who_asks_for_gzip(accepted, compressed):
    async def scenario():
        async with sim() as (_, ask):
            headers = {} if accepted is None else {"Accept-Encoding": accepted}
            for path in ("/api/v3/exchangeInfo", "/api/v3/depth?symbol=BTCUSDT&limit=1000"):
                _, plain, body = await ask(path)
                _, answered, packed = await ask(path, headers=headers)
                assert plain.get("Content-Encoding") is None
                assert (answered.get("Content-Encoding") == "gzip") is compressed
                text = gzip.decompress(packed) if compressed else packed
                assert list(json.loads(text)) == list(json.loads(body))
                if compressed:
                    assert len(packed) < len(text) / 2
            _, small, body = await ask("/api/v3/ping", headers=headers)
            assert small.get("Content-Encoding") is None and body == b"{}"

    run(scenario)


@pytest.mark.parametrize("family", FAMILIES)
def test_unknown_route_is_a_404_as_the_venue_has_it_with_the_weight_used(family, caplog):
    async def scenario():
        async with sim(family) as (server, ask):
            path = f"{BASE[family]}/account"
            await ask(f"{BASE[family]}/ping")
            for method in ("GET", "POST", "GET", "DELETE"):
                status, headers, body = await ask(path, method)
                assert status == 404 and int(headers["X-MBX-USED-WEIGHT-1M"]) >= 1
                if family == "binance":
                    assert body == b""
                else:
                    text = f"Path {path}, Method {method} is invalid"
                    assert json.loads(body) == {"code": -5000, "msg": text}
            assert (await ask("/", "GET"))[0] == 404
            assert (await ask(f"{BASE[family]}/ping", "POST"))[0] == 404
            assert server.venues[family].rest.requests == 7

    with caplog.at_level(logging.WARNING, "mdp.sim"):
        run(scenario)
    told = [record.message for record in caplog.records if "no such route" in record.message]
    assert len(told) == 5  # each method and path once, though one was asked twice
    assert sum(f"GET '{BASE[family]}/account'" in text for text in told) == 1


def test_log_of_unknown_routes_is_bounded_and_one_line_each(caplog):
    async def scenario():
        async with sim() as (_, ask):
            for number in range(150):
                await ask(f"/api/v3/none{number}%0Aforged%20line")

    with caplog.at_level(logging.WARNING, "mdp.sim"):
        run(scenario)
    told = [record.message for record in caplog.records if "no such route" in record.message]
    assert len(told) == 100 and not any("\n" in text for text in told)


def test_refused_request_says_the_weight_used_too():
    async def scenario():
        options = SimOptions(rate=0.0, tls=False, weight_limit=1)
        async with SimServer(options) as server, aiohttp.ClientSession() as session:
            wanted, statuses = {("none", 404), ("none", 429), ("ping", 200), ("ping", 429)}, set()
            while statuses != wanted:  # twice two rounds, where a minute ends in between
                for path in ("none", "ping"):
                    async with session.get(f"{server.rest_url}/api/v3/{path}") as response:
                        assert "X-MBX-USED-WEIGHT-1M" in response.headers
                        statuses.add((path, response.status))
                assert statuses <= wanted

    run(scenario)
