"""Keep books with cryptofeed and say each of them."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import said
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges import Binance, BinanceDelivery, BinanceFutures

FEEDS = {"binance": Binance, "binance-usdm": BinanceFutures, "binance-coinm": BinanceDelivery}
# Spot takes the slow stream in one family of runs, which cryptofeed asks for as @depth@1000ms.
INTERVALS = {"binance": ["100ms", "1000ms"], "binance-usdm": ["100ms"], "binance-coinm": ["100ms"]}
# Books are on the routed paths since 2026; this client has the address without a route.
ROUTES = {"binance": "", "binance-usdm": "/public", "binance-coinm": ""}


def at(family, urls):
    """Return the client's feed class with the addresses of the exchange."""
    base = FEEDS[family]
    (rest,) = base.rest_endpoints
    (ws,) = base.websocket_endpoints
    endpoints = {
        "rest_endpoints": [RestEndpoint(urls["rest_url"], routes=rest.routes)],
        "websocket_endpoints": [WebsocketEndpoint(urls["ws_url"] + ROUTES[family], options=ws.options)],
    }
    return type(base.__name__, (base,), endpoints)


def main():
    """Run every family at once."""
    handler = FeedHandler(
        config={"uvloop": False, "log": {"disabled": True, "filename": "", "level": "ERROR"}}
    )
    for family, urls in TASK["families"].items():
        feed = at(family, urls)
        wanted = set(urls["symbols"])
        names = {std: name for std, name in feed.symbol_mapping().items() if name in wanted}

        async def on_book(book, _receipt, family=family, names=names):
            depth = TASK["depth"]
            bids, asks = (side.to_list()[:depth] for side in (book.book.bids, book.book.asks))
            said.book(family, names[book.symbol], book.sequence_number, bids, asks)

        intervals = INTERVALS[family]
        for number, interval in enumerate(intervals):
            handler.add_feed(
                feed(
                    symbols=list(names)[number :: len(intervals)],
                    channels=[L2_BOOK],
                    callbacks={L2_BOOK: on_book},
                    depth_interval=interval,
                )
            )
    said.note(f"cryptofeed {version('cryptofeed')}")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler.run(start_loop=False, install_signal_handlers=False)
    loop.run_until_complete(said.flush_until(TASK["seconds"]))
    said.end()


TASK = said.task()
main()
