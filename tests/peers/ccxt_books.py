"""Keep books with ccxt (its WebSocket part) and say each of them."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import ccxt.pro
import said

CLIENTS = {
    "binance": ccxt.pro.binance,
    "binance-usdm": ccxt.pro.binanceusdm,
    "binance-coinm": ccxt.pro.binancecoinm,
}
# What ccxt calls a family, for its markets and for its WebSocket.
KINDS = {"binance": "spot", "binance-usdm": "linear", "binance-coinm": "inverse"}


def moved(addresses, rest_url):
    """Return ccxt's table of addresses with all of them at the exchange: not one request may go elsewhere."""
    if isinstance(addresses, dict):
        return {name: moved(address, rest_url) for name, address in addresses.items()}
    return rest_url + urlsplit(addresses).path


async def keep(client, family, symbol):
    """Say the books of one symbol for as long as the program runs."""
    market = client.markets_by_id[symbol][0]
    while True:
        try:
            book = await client.watch_order_book(market["symbol"])
        except ccxt.pro.ChecksumError as error:  # its word for a gap: it drops the book, and one asks again
            said.note(f"{family} {symbol}: {type(error).__name__}: {error}")
            continue
        depth = TASK["depth"]
        said.book(family, symbol, book["nonce"], book["bids"][:depth], book["asks"][:depth])


async def main():
    """Run every family at once."""
    clients = []
    for family, at in TASK["families"].items():
        kind = KINDS[family]
        options = {"fetchCurrencies": False, "fetchMarkets": {"types": [kind]}}
        client = CLIENTS[family]({"cafile": TASK["ca_file"], "options": options})
        client.urls["api"] = moved(client.urls["api"], at["rest_url"])
        client.urls["api"]["ws"] = {kind: at["ws_url"] + "/ws"}
        await client.load_markets()
        clients.append((client, family, at["symbols"]))
    tasks = [
        asyncio.ensure_future(keep(client, family, symbol))
        for client, family, symbols in clients
        for symbol in symbols
    ]
    said.note(f"ccxt {ccxt.__version__}")
    await said.flush_until(TASK["seconds"])
    for done in (task for task in tasks if task.done()):
        said.note(f"a book was given up: {done.exception()!r}")
    said.end()


TASK = said.task()
asyncio.run(main())
