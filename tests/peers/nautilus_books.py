"""Keep books with nautilus_trader and say each of them."""

from __future__ import annotations

import asyncio
import threading
from importlib.metadata import version

import said
from aiohttp import ClientSession, web
from nautilus_trader.adapters.binance import (
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceLiveDataClientFactory,
)
from nautilus_trader.adapters.binance.common.symbol import BinanceSymbol
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import ClientId, InstrumentId, Venue
from nautilus_trader.trading.strategy import Strategy

TYPES = {
    "binance": BinanceAccountType.SPOT,
    "binance-usdm": BinanceAccountType.USDT_FUTURES,
    "binance-coinm": BinanceAccountType.COIN_FUTURES,
}
ROUTES = {"binance": "", "binance-usdm": "/public", "binance-coinm": ""}
# Versions that read instruments only with an account, whose fees they want to know.
OLD = tuple(int(part) for part in version("nautilus_trader").split(".")[:2]) < (1, 222)


class Books(Strategy):
    """Follows some books."""

    def on_start(self):
        """Subscribe to all of them."""
        for family, urls in TASK["families"].items():
            for symbol in urls["symbols"]:
                instrument_id = instrument_of(family, symbol)
                NAMES[instrument_id] = (family, symbol)
                self.subscribe_order_book_deltas(
                    instrument_id, BookType.L2_MBP, client_id=ClientId(venue_of(family))
                )

    def on_order_book_deltas(self, deltas):
        """Say the book that the client keeps, after these deltas.

        It sets up the buffer for what comes before the snapshot only after it has subscribed. A frame that
        comes in between is handed on, and makes a book of itself alone. Such books are counted, not compared.
        """
        family, symbol = NAMES[deltas.instrument_id]
        if deltas.is_snapshot:
            JOINED.add(deltas.instrument_id)
        elif deltas.instrument_id not in JOINED:
            EARLY.append(f"{family} {symbol}")
            return
        book = self.cache.order_book(deltas.instrument_id)
        sides = (
            [(level.price, level.size()) for level in levels[: TASK["depth"]]]
            for levels in (book.bids(), book.asks())
        )
        said.book(family, symbol, book.sequence, *sides)


def venue_of(family):
    """Return a venue of its own for each family: the client keeps books by symbol and venue."""
    return family.replace("-", "_").upper()


def instrument_of(family, symbol):
    """Return the client's name of an instrument."""
    name = BinanceSymbol(symbol).parse_as_nautilus(TYPES[family])
    return InstrumentId.from_str(f"{name}.{venue_of(family)}")


def account(rest_url):
    """Serve what older versions ask of an account before they read instruments, and pass on the rest.

    Returns the address of this server, which runs in a thread.
    """

    async def passed_on(request):
        if request.path.endswith("/tradeFee"):
            return web.json_response([])
        if request.path.endswith("/account"):
            flags = dict.fromkeys(("canTrade", "canDeposit", "canWithdraw"), True)
            return web.json_response({"feeTier": 0, "updateTime": 0, "assets": [], "positions": [], **flags})
        async with (
            ClientSession(auto_decompress=True) as session,
            session.request(request.method, rest_url + request.path_qs) as answer,
        ):
            return web.Response(
                status=answer.status, body=await answer.read(), content_type=answer.content_type
            )

    async def serve():
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", passed_on)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}")
        started.set()
        await asyncio.Event().wait()

    address, started = [], threading.Event()
    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    started.wait()
    return address[0]


def main():
    """Run every family at once."""
    key = {"api_key": "any", "api_secret": "any"} if OLD else {}
    clients = {
        venue_of(family): BinanceDataClientConfig(
            venue=Venue(venue_of(family)),
            account_type=TYPES[family],
            base_url_http=account(urls["rest_url"]) if OLD else urls["rest_url"],
            base_url_ws=urls["ws_url"] + ROUTES[family],
            instrument_provider=InstrumentProviderConfig(load_all=True),
            **key,
        )
        for family, urls in TASK["families"].items()
    }
    node = TradingNode(
        config=TradingNodeConfig(logging=LoggingConfig(log_level="WARNING"), data_clients=clients)
    )
    node.trader.add_strategy(Books())
    for name in clients:
        node.add_data_client_factory(name, BinanceLiveDataClientFactory)
    node.build()
    said.note(f"nautilus_trader {version('nautilus_trader')}")

    async def run():
        running = asyncio.ensure_future(node.run_async())
        await said.flush_until(TASK["seconds"])
        running.cancel()
        if EARLY:
            said.note(f"books before their snapshot, not compared: {', '.join(EARLY)}")
        said.end()

    node.get_event_loop().run_until_complete(run())


TASK = said.task()
NAMES = {}
JOINED = set()
EARLY = []
main()
