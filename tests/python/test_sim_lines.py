"""Lines: connections that carry one stream, cut at different ids, and faults that strike one of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import aiohttp
import pytest
from mdp.sim import SimOptions, SimServer

DEADLINE_S = 60
STREAM = "btcusdt@depth@100ms"
TICKER = "btcusdt@bookTicker"


class Lines:
    """A server whose market moves only when told, and connections to it."""

    def __init__(self, server, session):
        self.server = server
        self.session = session
        self.market = server.market("BTCUSDT")
        self.open = []

    async def connect(self, *streams):
        """Open a connection; its line is the lowest free one."""
        names = "/".join(streams or (STREAM,))
        ws = await self.session.ws_connect(f"{self.server.ws_url}/stream?streams={names}", max_msg_size=0)
        self.open.append(ws)
        await self.until(lambda: self.server.hub.connections == len(self.open))
        return ws

    async def until(self, condition):
        for _ in range(DEADLINE_S * 1000):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("deadline passed")

    def cut(self, phase=0, events=20):
        """Let the market move, cut the batches of one phase, and return the ids they cover on that phase."""
        feed = self.server.feed
        batcher = next(b for b in feed.publisher._batchers["@100ms", phase] if b.stream == STREAM)
        first = batcher.last_id + 1
        feed.advance("BTCUSDT", events)
        feed.publisher.publish_depth("@100ms", phase)
        self.server.hub.flush()
        return first, self.market.update_id


@contextlib.asynccontextmanager
async def lines(**changes):
    options = {"rate": 0.0, "symbols": ["BTCUSDT", "ETHUSDT"], "depth_interval_ms": 3_600_000, **changes}
    async with SimServer(SimOptions(**options)) as server:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Lines(server, session)


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


async def next_event(ws):
    message = await asyncio.wait_for(ws.receive(), DEADLINE_S)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return json.loads(message.data)["data"]


async def ids_of(ws, count):
    return [(event["U"], event["u"]) for event in [await next_event(ws) for _ in range(count)]]


def test_lines_are_numbered_per_stream_and_a_free_number_is_taken_again():
    async def scenario():
        async with lines() as sim:
            first, _ = await sim.connect(STREAM), await sim.connect(STREAM, TICKER)
            clients = sim.server.hub.clients
            assert clients[1].streams == {STREAM: 0} and clients[2].streams == {STREAM: 1, TICKER: 0}
            await first.close()
            await sim.until(lambda: 1 not in clients)
            await sim.connect(STREAM, TICKER)
            assert clients[3].streams == {STREAM: 0, TICKER: 1}
            await sim.connect(STREAM)
            assert clients[4].streams == {STREAM: 2}

    run(scenario)


def test_lines_of_one_phase_are_cut_at_the_same_ids():
    async def scenario():
        async with lines() as sim:
            one, other = await sim.connect(), await sim.connect()
            cuts = [sim.cut() for _ in range(3)]
            assert await ids_of(one, 3) == await ids_of(other, 3) == cuts

    run(scenario)


def test_phases_cut_the_lines_at_different_ids_and_both_are_true():
    async def scenario():
        async with lines(depth_phases=2) as sim:
            sockets = [await sim.connect(), await sim.connect()]
            start = sim.market.depth(5000)
            assert start[0]
            cuts = {0: [], 1: []}
            for turn in range(12):
                cuts[turn % 2].append(sim.cut(turn % 2))
            assert not {last for _, last in cuts[0]} & {last for _, last in cuts[1]}
            for phase, ws in enumerate(sockets):
                book = [dict(side) for side in start]
                for first, last in cuts[phase]:
                    event = await next_event(ws)
                    assert (event["U"], event["u"]) == (first, last)
                    for side, levels in zip(book, (event["b"], event["a"]), strict=True):
                        for price, quantity in levels:
                            ticks = int(price.replace(".", "")) // sim.market.instrument.tick_e8
                            lots = int(quantity.replace(".", "")) // sim.market.instrument.lot_e8
                            if lots:
                                side[ticks] = lots
                            else:
                                side.pop(ticks, None)
                    bids, asks = sim.market.depth_at(last, 5000)
                    assert book == [dict(bids), dict(asks)]

    run(scenario)


def test_phases_are_offset_by_their_part_of_the_interval():
    async def scenario():
        async with lines(depth_phases=4, depth_interval_ms=400_000) as sim:
            offsets = sorted(timer._offset_s for timer in sim.server.feed._timers if timer._interval_s == 400)
            assert offsets == [0, 100, 200, 300]

    run(scenario)


def test_a_third_line_takes_turns_with_the_first():
    async def scenario():
        async with lines(depth_phases=2) as sim:
            one, _, third = [await sim.connect() for _ in range(3)]
            cut = sim.cut(0)
            assert await ids_of(one, 1) == await ids_of(third, 1) == [cut]

    run(scenario)


@pytest.mark.parametrize("kind", ["drop", "duplicate", "wrong_level"])
def test_fault_of_one_line_leaves_the_other_alone(kind):
    async def scenario():
        async with lines() as sim:
            sockets = [await sim.connect(), await sim.connect()]
            sim.server.arm({"kind": kind, "stream": STREAM, "line": 1})
            cuts = [sim.cut(), sim.cut()]
            good = [await next_event(sockets[0]) for _ in range(2)]
            assert [(event["U"], event["u"]) for event in good] == cuts
            if kind == "drop":
                assert await ids_of(sockets[1], 1) == cuts[1:]
            elif kind == "duplicate":
                assert await ids_of(sockets[1], 3) == [cuts[0], *cuts]
            else:
                bad = await next_event(sockets[1])
                assert bad["u"] == good[0]["u"] and bad["b"] != good[0]["b"] and bad["a"] == good[0]["a"]
                assert await next_event(sockets[1]) == good[1]

    run(scenario)


def test_holes_of_two_lines_are_wedged_into_each_other():
    async def scenario():
        async with lines() as sim:
            sockets = [await sim.connect(), await sim.connect()]
            sim.server.arm({"kind": "drop", "stream": STREAM, "line": 0, "every": 2, "count": 0})
            sim.server.arm({"kind": "drop", "stream": STREAM, "line": 1, "every": 2, "skip": 1, "count": 0})
            cuts = [sim.cut() for _ in range(9)]
            got = [await ids_of(ws, count) for ws, count in zip(sockets, (5, 5), strict=True)]
            assert got[0] == cuts[0::2] and got[1] == [cuts[0], *cuts[1::2]]
            assert set(got[0]) | set(got[1]) == set(cuts)

    run(scenario)


def test_fault_of_a_line_that_nobody_holds_waits():
    async def scenario():
        async with lines() as sim:
            one = await sim.connect()
            fault = sim.server.arm({"kind": "drop", "stream": STREAM, "line": 1})
            cut = sim.cut()
            assert await ids_of(one, 1) == [cut] and fault.fired == 0
            other = await sim.connect()
            lost, kept = sim.cut(), sim.cut()
            assert fault.fired == 1
            assert await ids_of(other, 1) == [kept] and await ids_of(one, 2) == [lost, kept]

    run(scenario)


def test_lagging_line_is_some_events_late_in_order_and_loses_none():
    async def scenario():
        async with lines() as sim:
            sockets = [await sim.connect(STREAM, TICKER), await sim.connect(STREAM, TICKER)]
            lag = sim.server.arm({"kind": "lag", "line": 1, "frames": 3, "count": 0})
            cuts = [sim.cut() for _ in range(8)]
            early = []
            while sum("U" in event for event in early) < 8:
                early.append(await next_event(sockets[0]))
            assert [(event["U"], event["u"]) for event in early if "U" in event] == cuts
            late = [await next_event(sockets[1]) for _ in range(len(early) - 3)]
            assert late == early[:-3]
            lag.remaining = 0
            end = sim.cut(events=1)
            rest = []
            while not rest or rest[-1].get("u") != end[1] or "U" not in rest[-1]:
                rest.append(await next_event(sockets[1]))
            assert rest[:3] == early[-3:]

    run(scenario)


def test_connection_fault_strikes_the_line_it_names():
    async def scenario():
        async with lines() as sim:
            one, other = await sim.connect(), await sim.connect()
            sim.server.arm({"kind": "disconnect", "stream": STREAM, "line": 0, "mode": "close"})
            message = await asyncio.wait_for(one.receive(), DEADLINE_S)
            assert message.type == aiohttp.WSMsgType.CLOSE
            cut = sim.cut()
            assert await ids_of(other, 1) == [cut]

    run(scenario)
