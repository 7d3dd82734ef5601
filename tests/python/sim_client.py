"""A sim with one symbol that moves only when told, and clients of it, for the tests of faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import aiohttp
from mdp.sim import SimOptions, SimServer

DEADLINE_S = 60
STREAM = "btcusdt@depth@100ms"


class Sim:
    """A server and a session that trusts it."""

    def __init__(self, server, session):
        self.server = server
        self.session = session
        self.hub = server.hub
        self.market = server.market("BTCUSDT")

    def arm(self, kind, **params):
        return self.server.arm({"kind": kind, **params})

    @contextlib.asynccontextmanager
    async def connect(self, path=f"/ws/{STREAM}", **kwargs):
        """Connect, and wait until the hub knows the connection."""
        before = self.hub.connections
        async with self.session.ws_connect(self.server.ws_url + path, max_msg_size=0, **kwargs) as ws:
            await until(lambda: self.hub.connections > before)
            yield ws

    async def get(self, path):
        async with self.session.get(self.server.rest_url + path) as response:
            return response.status, response.headers, await response.text()

    async def post(self, **fault):
        """Arm a fault as another process does."""
        async with self.session.post(f"{self.server.rest_url}/sim/fault", json=fault) as response:
            return response.status, await response.json()

    async def depth(self, limit=5000):
        """Fetch a snapshot; return status, headers and body."""
        return await self.get(f"/api/v3/depth?symbol=BTCUSDT&limit={limit}")

    async def snapshot(self, limit=5000):
        return json.loads((await self.depth(limit))[2])

    def move(self, events=20):
        """Let the market move without cutting a batch; return the number of changes so far."""
        self.server.feed.advance("BTCUSDT", events)
        self.hub.flush()
        return self.market.changes

    def batch(self, events=20):
        """Let the market move and cut the batch; return the ids it covers."""
        first = self.market.update_id + 1
        self.server.feed.advance("BTCUSDT", events)
        self.server.feed.publisher.publish_depth("@100ms")
        self.hub.flush()
        return first, self.market.update_id


def run(scenario, **options):
    """Run a scenario with a `Sim`."""
    script = options.pop("script", None)

    async def outer():
        settings = {"rate": 0.0, "symbols": ["BTCUSDT"], "depth_interval_ms": 3_600_000, **options}
        async with SimServer(SimOptions(**settings), script) as server:
            trust = ssl.create_default_context(cafile=server.ca_file) if server.ca_file else False
            connector = aiohttp.TCPConnector(ssl=trust, force_close=True)
            async with aiohttp.ClientSession(connector=connector) as session:
                await scenario(Sim(server, session))

    asyncio.run(asyncio.wait_for(outer(), 300))


async def until(condition):
    """Poll with a deadline; what is waited for is never measured."""
    for _ in range(DEADLINE_S * 1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("deadline passed")


async def receive(ws):
    return await asyncio.wait_for(ws.receive(), DEADLINE_S)


async def next_text(ws):
    message = await receive(ws)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return message.data


async def ids_of(ws, count):
    """Receive depth events; return the ids they cover."""
    events = [json.loads(await next_text(ws)) for _ in range(count)]
    return [(event["U"], event["u"]) for event in events]
