"""The exchange speaks another venue's words with its own market, hub, limits and faults.

The toy venue here is what a folder below `mdp.sim.wire` gives, and one line of the registry. It has nothing
in common with Binance: streams, requests and their answers, paths, errors, headers and frames are its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import aiohttp
import pytest
from mdp.sim import SimOptions, SimServer, wire
from mdp.sim.frames import DepthFrame, Frame
from mdp.sim.instruments import Instrument
from mdp.sim.market import Levels, Market, MarketEvent
from mdp.sim.wire.protocol import Opening, Recordings, RestError, Route, SnapshotRoute, Timer, Wire

DEADLINE_S = 60
COINS = Instrument("COIN/CASH", "COIN", "CASH", 1_000_000, 1_000_000, 5_000, 2, 900, 60, 2, 2)


def levels_text(spec: Instrument, levels: Levels) -> str:
    return json.dumps(
        [[float(spec.price_text(price)), float(spec.quantity_text(lots))] for price, lots in levels]
    )


class ToyPublisher:
    """Books alone, at every change: no batches, no trades."""

    cuts: Sequence[tuple[str, int]] = ()

    def __init__(self, hub: Any, markets: Mapping[str, Market]) -> None:
        self._hub = hub
        self._markets = markets
        self._told = {symbol: market.update_id for symbol, market in markets.items()}

    def timers(self) -> Iterator[Timer]:
        yield 3600.0, lambda: None, 0.0

    def serves(self, stream: str) -> bool:
        return stream.removeprefix("book:") in self._markets

    def publish_events(self, market: Market, events: Sequence[MarketEvent], moved_us: int) -> None:
        symbol = market.instrument.symbol
        since, self._told[symbol] = self._told[symbol], market.update_id
        stream = f"book:{symbol}"
        if self._hub.wanted(stream) and market.update_id != since:
            self._hub.publish(self._frame(stream, market, since))

    def _frame(self, stream: str, market: Market, since: int) -> Frame:
        def render(bids: Levels, asks: Levels) -> tuple[str, ...]:
            sides = f'"buy":{levels_text(COINS, bids)},"sell":{levels_text(COINS, asks)}'
            return (f'{{"after":{since},"seq":{market.update_id},{sides}}}',)

        return DepthFrame(stream, render, *market.batch(since), (), market.top())

    def publish_depth(self, suffix: str, phase: int = 0) -> None:
        raise AssertionError("there are no cuts")

    def ids_began_anew(self, markets: Sequence[Market]) -> None:
        self._told |= {market.instrument.symbol: market.update_id for market in markets}

    def snapshot(self, market: Market, update_id: int, bids: Levels, asks: Levels) -> str:
        return f'{{"seq":{update_id},"buy":{levels_text(COINS, bids)},"sell":{levels_text(COINS, asks)}}}'

    def rest_routes(self, symbols: Sequence[str]) -> Mapping[str, Route]:
        return {"/best": Route(lambda _: 7, lambda _: str(self._markets[symbols[0]].top().bid_ticks))}


class Toy:
    """See `Wire`."""

    name = "toy"
    routes = ("",)
    weight_pool = "toy"
    weight_limit = 100
    messages_per_s = 5
    ping_interval_s = 30.0
    pong_timeout_s = 60.0
    used_weight_headers = ("Used",)
    built_in = (COINS,)
    numbers: ClassVar = {"id": re.compile(r'"seq":([0-9]+)')}

    def instruments(self, wanted: list[str] | int | None) -> list[Instrument]:
        return [COINS]

    def shared_ids(self, stride: int, index: int) -> None:
        return None

    def instrument_list(self, weight_limit: int, instruments: list[Instrument]) -> str:
        return json.dumps([spec.symbol for spec in instruments])

    def paths(self) -> list[str]:
        return ["/feed"]

    def open(self, request: Any) -> Opening:
        if "token" not in request.query:
            raise RestError(403, 9, "no token")
        return Opening("", combined=False, micro=False, streams=[])

    def carries(self, route: str, stream: str) -> bool:
        return True

    @property
    def recordings(self) -> Recordings:
        raise AssertionError("nothing was recorded")

    def symbols_of(self, streams: str) -> str:
        return streams.removeprefix("book:")

    def answer(self, hub: Any, client: Any, text: str) -> Any:
        wanted = text.removeprefix("sub ")
        silent = {fault.kind for fault in hub.subscribe_faults(wanted)} & {"subscribe_silent"}
        hub.subscribe(client, [wanted], [wanted] if silent else [])
        return ["subscribed", wanted]

    def shutdown_notice(self, time_us: int) -> Frame:
        return Frame("", ('"bye"',))

    def publisher(self, options: SimOptions, hub: Any, markets: Mapping[str, Market]) -> ToyPublisher:
        return ToyPublisher(hub, markets)

    def has_path(self, path: str) -> bool:
        return path.startswith("/book/")

    def rest_routes(
        self, symbols: Sequence[str], instrument_list: Callable[[list[str] | None], str]
    ) -> Mapping[str, Route | SnapshotRoute]:
        return {
            "/list": Route(lambda _: 1, lambda _: instrument_list(None)),
            "/book/{base}/{quote}": SnapshotRoute(lambda _: 20, partial(self._asked, symbols)),
        }

    def _asked(self, symbols: Sequence[str], request: Any) -> tuple[str, int]:
        symbol = "{base}/{quote}".format(**request.match_info)
        if symbol not in symbols:
            raise self.unknown_symbol()
        return symbol, 1000

    def error(self, error: RestError) -> tuple[str, str]:
        return f"{error.code}: {error.message}", "text/plain"

    def unknown_path(self, method: str, path: str) -> RestError:
        return RestError(404, 1, f"no {path}")

    def unknown_symbol(self) -> RestError:
        return RestError(404, 2, "no such market")

    def refusal(self, status: int, until_ms: int = 0, message: str = "") -> RestError:
        return RestError(status, 3, "slow down")

    def too_many_connects(self) -> RestError:
        return RestError(429, 4, "too many connections")

    def too_many_streams(self, most: int) -> RestError:
        return RestError(400, 5, f"no more than {most}")


TOY: Wire = Toy()


@contextlib.asynccontextmanager
async def exchange(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> AsyncIterator[Any]:
    """Serve the toy venue, whose market moves when told."""
    monkeypatch.setitem(wire.FAMILIES, TOY.name, TOY)
    async with SimServer(SimOptions(families=["toy"], rate=0.0, **changes)) as server:
        trust = ssl.create_default_context(cafile=server.ca_file)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:

            async def get(path: str) -> tuple[int, str, Any]:
                async with session.get(server.rest_url + path) as response:
                    return response.status, await response.text(), response.headers

            def connect(path: str = "/feed?token=1") -> Any:
                return session.ws_connect(server.ws_url + path)

            def move() -> None:
                server.feed.advance(COINS.symbol, 20)  # type: ignore[attr-defined]
                server.hub.flush()

            yield SimpleNamespace(server=server, get=get, connect=connect, move=move)


def run(scenario: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    async def outer() -> None:
        async with exchange(monkeypatch, **changes) as sim:
            await scenario(sim)

    asyncio.run(asyncio.wait_for(outer(), DEADLINE_S))


class Book:
    """Levels as the toy venue's clients keep them."""

    def __init__(self, snapshot: str) -> None:
        told = json.loads(snapshot)
        self.seq = told["seq"]
        self.buy, self.sell = dict(told["buy"]), dict(told["sell"])

    def apply(self, text: str) -> None:
        told = json.loads(text)
        assert told["after"] == self.seq
        self.seq = told["seq"]
        for own, side in ((self.buy, "buy"), (self.sell, "sell")):
            own.update(told[side])
            for price in [price for price, quantity in own.items() if not quantity]:
                del own[price]

    def is_true(self, market: Market) -> bool:
        bids, asks = market.depth_at(self.seq, 10_000)
        return (sorted(self.buy.items(), reverse=True), sorted(self.sell.items())) == (
            [tuple(level) for level in json.loads(levels_text(COINS, bids))],
            [tuple(level) for level in json.loads(levels_text(COINS, asks))],
        )


def test_book_of_another_venue_is_the_markets(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(sim: Any) -> None:
        async with sim.connect() as ws:
            await ws.send_str("sub book:COIN/CASH")
            assert await ws.receive_json() == ["subscribed", "book:COIN/CASH"]
            book = Book((await sim.get("/book/COIN/CASH"))[1])
            for _ in range(20):
                sim.move()
                book.apply((await ws.receive()).data)
                assert book.is_true(sim.server.market(COINS.symbol))
        assert book.seq > 20

    run(scenario, monkeypatch)


def test_answers_over_rest_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(sim: Any) -> None:
        status, text, headers = await sim.get("/list")
        assert (status, text, headers["Used"]) == (200, '["COIN/CASH"]', "1")
        assert "X-MBX-USED-WEIGHT" not in headers
        assert (await sim.get("/best"))[1] == str(sim.server.market(COINS.symbol).top().bid_ticks)
        assert (await sim.get("/book/COIN/GOLD"))[:2] == (404, "2: no such market")
        assert (await sim.get("/api/v3/depth"))[:2] == (404, "1: no /api/v3/depth")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await sim.connect("/feed")
        assert refused.value.status == 403
        assert (
            sim.server.market(COINS.symbol).update_id
            == json.loads((await sim.get("/sim/truth?symbol=COIN/CASH"))[1])["updateId"]
        )

    run(scenario, monkeypatch)


def test_limits_hold_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(sim: Any) -> None:
        answers = [await sim.get("/book/COIN/CASH") for _ in range(6)]
        assert [status for status, _, _ in answers] == [200] * 5 + [429]
        assert answers[-1][1] == "3: slow down"
        assert int(answers[-1][2]["Retry-After"]) > 0

    run(scenario, monkeypatch)


def test_faults_strike_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(sim: Any) -> None:
        arm = sim.server.arm
        market = sim.server.market(COINS.symbol)
        async with sim.connect() as ws:
            await ws.send_str("sub book:COIN/CASH")
            await ws.receive()
            book = Book((await sim.get("/book/COIN/CASH"))[1])
            arm({"kind": "drop", "stream": "book:*"})
            sim.move()
            sim.move()
            lost = json.loads((await ws.receive()).data)
            assert lost["after"] > book.seq, "the frame between them was dropped"
            arm({"kind": "wrong_level", "stream": "book:*", "mode": "crossed"})
            book = Book((await sim.get("/book/COIN/CASH"))[1])
            sim.move()
            book.apply((await ws.receive()).data)
            assert not book.is_true(market)
            assert max(book.buy) >= min(book.sell)
            arm({"kind": "corrupt", "stream": "book:*", "mode": "id"})
            sim.move()
            assert json.loads((await ws.receive()).data)["seq"] != market.update_id
            arm({"kind": "snapshot_error", "status": 503})
            assert (await sim.get("/book/COIN/CASH"))[:2] == (503, "3: slow down")
            arm({"kind": "snapshot_unknown"})
            assert (await sim.get("/book/COIN/CASH"))[:2] == (404, "2: no such market")
            arm({"kind": "oversized", "stream": "book:COIN/*", "levels": 30})
            sim.server.hub.flush()
            burst = json.loads((await ws.receive()).data)
            assert len(burst["buy"]) + len(burst["sell"]) >= 30
            arm({"kind": "shutdown_notice"})
            assert (await ws.receive()).data == '"bye"'
        async with sim.connect() as ws:
            arm({"kind": "subscribe_silent", "stream": "book:*"})
            await ws.send_str("sub book:COIN/CASH")
            assert (await ws.receive_json())[0] == "subscribed"
            assert not sim.server.hub.wanted("book:COIN/CASH")

    run(scenario, monkeypatch)
