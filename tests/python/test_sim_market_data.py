"""Market data of the sim beside the book, against the trades that clients were sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import aiohttp
import pytest
from mdp.sim import FAMILIES, SimOptions, SimServer

DEADLINE_S = 60
BTC = {"binance": "BTCUSDT", "binance-usdm": "BTCUSDT", "binance-coinm": "BTCUSD_PERP"}
BASE = {name: row.rest_bases[0] for name, row in FAMILIES.items()}
PUBLIC = {"binance": "", "binance-usdm": "/public", "binance-coinm": ""}
MARKET = {"binance": "", "binance-usdm": "/market", "binance-coinm": ""}
DOCS = Path(__file__).parents[2] / "docs/sim.md"


class Exchange:
    """One family whose market moves only when told, and a session that trusts it."""

    def __init__(self, server, session):
        (self.family,) = server.venues
        self.symbol = BTC[self.family]
        self.venue = server.venues[self.family]
        self.feed = self.venue.feed
        self.session = session

    def connect(self, streams, route=""):
        listed = "/".join(streams).replace("+", "%2B")  # a plus in a query is a space
        url = f"{self.venue.ws_url}{route}/stream?streams={listed}"
        return self.session.ws_connect(url, max_msg_size=0)

    async def get(self, path, **kwargs):
        async with self.session.get(f"{self.venue.rest_url}{BASE[self.family]}/{path}", **kwargs) as response:
            return response.status, response.headers, await response.text()

    async def rows(self, path, **kwargs):
        status, _, text = await self.get(path, **kwargs)
        assert status == 200, text
        return json.loads(text)

    async def traded(self, events, symbol=None):
        """Let the market move; return its trades and its aggregate trades as clients were sent them."""
        symbol = symbol or self.symbol
        name = symbol.lower()
        async with (
            self.connect([f"{name}@trade"], PUBLIC[self.family]) as trades,
            self.connect([f"{name}@aggTrade"], MARKET[self.family]) as aggs,
        ):
            await until(lambda: len(self.venue.hub.streams) == 2)
            self.feed.advance(symbol, events)
            self.venue.hub.flush()
            tape = self.feed.publisher.view.tapes[symbol]
            return (
                [
                    event
                    for event in await self._until_id(trades, "t", tape.last_id)
                    if event.get("X", "MARKET") == "MARKET"
                ],
                await self._until_id(aggs, "a", tape.agg_trades[-1][0].agg_id),
            )

    async def _until_id(self, ws, key, last):
        events = []
        while not events or events[-1][key] != last:
            events.append(json.loads(await text_of(ws))["data"])
        return events


@contextlib.asynccontextmanager
async def exchange(family, **changes):
    options = {"families": [family], "rate": 0.0, "ticker_interval_ms": 3_600_000, **changes}
    async with SimServer(SimOptions(**options)) as server:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Exchange(server, session)


async def text_of(ws):
    message = await asyncio.wait_for(ws.receive(), DEADLINE_S)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return message.data


async def until(condition):
    for _ in range(DEADLINE_S * 1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("deadline passed")


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


def worth(family, event):
    """What a trade is worth in the other asset, from the text of its event alone."""
    price, quantity = Decimal(event["p"]), Decimal(event["q"])
    exact = 100 * quantity / price if family == "binance-coinm" else price * quantity
    return exact.quantize(Decimal("1e-8"), ROUND_DOWN) if family != "binance-usdm" else exact


def summed(family, events):
    """What a bar or window over these trades must say."""
    bought = [event for event in events if not event["m"]]
    return {
        "open": Decimal(events[0]["p"]),
        "close": Decimal(events[-1]["p"]),
        "high": max(Decimal(event["p"]) for event in events),
        "low": min(Decimal(event["p"]) for event in events),
        "volume": sum(Decimal(event["q"]) for event in events),
        "turnover": sum(worth(family, event) for event in events),
        "bought": sum(Decimal(event["q"]) for event in bought),
        "count": len(events),
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_trades_and_aggregate_trades_are_those_that_clients_were_sent(family):
    async def scenario():
        async with exchange(family) as sim:
            trades, aggs = await sim.traded(6000)
            assert len(trades) > 200
            other = "baseQty" if family == "binance-coinm" else "quoteQty"
            key = {"X-MBX-APIKEY": "any"}
            rows = await sim.rows(f"trades?symbol={sim.symbol}&limit=1000")
            assert [
                (row["id"], row["price"], row["qty"], row["time"], row["isBuyerMaker"]) for row in rows
            ] == [(t["t"], t["p"], t["q"], t["T"], t["m"]) for t in trades[-1000:]]
            for row, event in zip(rows, trades[-1000:], strict=True):
                assert Decimal(row[other]) == worth(family, event)
            assert await sim.rows(f"trades?symbol={sim.symbol}&limit=5") == rows[-5:]
            old = f"historicalTrades?symbol={sim.symbol}&limit=3&fromId={rows[10]['id']}"
            assert await sim.rows(old, headers=key) == rows[10:13]

            rows = await sim.rows(f"aggTrades?symbol={sim.symbol}&limit=1000")
            kept = ("a", "p", "q", "f", "l", "T", "m")
            assert [[row[name] for name in kept] for row in rows] == [
                [event[name] for name in kept] for event in aggs[-1000:]
            ]
            path = f"aggTrades?symbol={sim.symbol}&limit=2"
            assert await sim.rows(f"{path}&fromId={rows[7]['a']}") == rows[7:9]
            since = [row for row in rows if row["T"] >= rows[7]["T"]]
            assert await sim.rows(f"{path}&startTime={rows[7]['T']}") == since[:2]
            before = [row for row in rows if row["T"] <= rows[7]["T"]]
            assert await sim.rows(f"{path}&endTime={rows[7]['T']}") == before[-2:]

    run(scenario)


@pytest.mark.parametrize("family", FAMILIES)
def test_klines_and_tickers_are_the_sums_of_the_trades(family):
    async def scenario():
        async with exchange(family) as sim:
            trades = []
            for _ in range(3):
                trades += (await sim.traded(2000))[0]
            minutes = {}
            for event in trades:
                minutes.setdefault(event["T"] // 60_000 * 60_000, []).append(event)
            rows = await sim.rows(f"klines?symbol={sim.symbol}&interval=1m")
            traded = [row for row in rows if row[8]]
            assert [row[0] for row in traded] == list(minutes)
            for row in traded:
                true = summed(family, minutes[row[0]])
                assert row[6] == row[0] + 59_999 and row[8] == true["count"] and row[11] == "0"
                assert [Decimal(row[place]) for place in (1, 2, 3, 4, 5, 7, 9)] == [
                    true[name] for name in ("open", "high", "low", "close", "volume", "turnover", "bought")
                ]
            true = summed(family, trades)
            day = await sim.rows(f"ticker/24hr?symbol={sim.symbol}")
            if family == "binance-coinm":  # which lists even one
                (day,) = day
            assert (day["firstId"], day["lastId"], day["count"]) == (
                trades[0]["t"],
                trades[-1]["t"],
                len(trades),
            )
            assert day["closeTime"] - day["openTime"] == 86_400_000
            turnover = "baseVolume" if family == "binance-coinm" else "quoteVolume"
            names = ("openPrice", "highPrice", "lowPrice", "lastPrice", "volume", turnover)
            assert [Decimal(day[name]) for name in names] == [
                true[name] for name in ("open", "high", "low", "close", "volume", "turnover")
            ]
            assert Decimal(day["priceChange"]) == true["close"] - true["open"]
            percent = 100 * (true["close"] - true["open"]) / true["open"]
            assert abs(Decimal(day["priceChangePercent"]) - percent) <= Decimal("0.0005")
            assert true["low"] <= Decimal(day["weightedAvgPrice"]) <= true["high"]
            assert day["lastQty"] == trades[-1]["q"]
            price = await sim.rows(f"ticker/price?symbol={sim.symbol}")
            assert (price[0] if family == "binance-coinm" else price)["price"] == trades[-1]["p"]
            every = await sim.rows("ticker/24hr")
            assert [row["symbol"] for row in every] == sim.feed.symbols
            # Nothing was traded yet: zeros, as a new listing has them.
            assert (every[1]["count"], every[1]["firstId"], Decimal(every[1]["lastPrice"])) == (0, -1, 0)

    run(scenario)


@pytest.mark.parametrize("family", FAMILIES)
def test_book_ticker_is_the_true_top(family):
    async def scenario():
        async with exchange(family) as sim:
            sim.feed.advance(sim.symbol, 500)
            rows = await sim.rows("ticker/bookTicker")
            assert [row["symbol"] for row in rows] == sim.feed.symbols
            for row in rows:
                truth = sim.feed.truth(row["symbol"], None, 1)
                assert [row["bidPrice"], row["bidQty"]] == truth["bids"][0]
                assert [row["askPrice"], row["askQty"]] == truth["asks"][0]

    run(scenario)


def test_spot_average_price_is_weighted_by_quantity():
    async def scenario():
        async with exchange("binance") as sim:
            trades, _ = await sim.traded(3000)
            true = sum(Decimal(t["p"]) * Decimal(t["q"]) for t in trades) / sum(
                Decimal(t["q"]) for t in trades
            )
            row = await sim.rows("avgPrice?symbol=BTCUSDT")
            assert (row["mins"], row["closeTime"]) == (5, trades[-1]["T"])
            assert row["price"] == str(true.quantize(Decimal("1e-8"), ROUND_DOWN))
            micro = await sim.rows("avgPrice?symbol=BTCUSDT", headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
            assert micro["closeTime"] // 1000 == row["closeTime"]

    run(scenario)


def test_spot_windows_and_several_symbols():
    async def scenario():
        async with exchange("binance") as sim:
            trades, _ = await sim.traded(1000)
            full = await sim.rows("ticker?symbol=BTCUSDT&windowSize=2h")
            assert full["openTime"] % 60_000 == 0
            assert 7_200_000 <= full["closeTime"] - full["openTime"] < 7_260_000
            assert (full["count"], full["lastPrice"]) == (len(trades), trades[-1]["p"])
            mini = await sim.rows('ticker?symbols=["ETHUSDT","BTCUSDT"]&type=MINI')
            assert [row["symbol"] for row in mini] == ["ETHUSDT", "BTCUSDT"]
            assert set(mini[1]) < set(full) and mini[1]["count"] == len(trades)
            today = await sim.rows("ticker/tradingDay?symbol=BTCUSDT")
            assert today["openTime"] % 86_400_000 == 0 and list(today) == list(full)
            one = await sim.rows('ticker/price?symbols=["ETHUSDT"]')
            assert [row["symbol"] for row in one] == ["ETHUSDT"]
            assert await sim.rows("ticker/price?symbolStatus=HALT") == []

    run(scenario)


@pytest.mark.parametrize(
    ("family", "path", "code"),
    [
        ("binance", "trades", -1102),
        ("binance", "trades?symbol=NOPE", -1121),
        ("binance", "trades?symbol=BTCUSDT&limit=0", -1100),
        ("binance", "trades?symbol=BTCUSDT&fromId=1", -1104),
        ("binance", "klines?symbol=BTCUSDT", -1102),
        ("binance", "klines?symbol=BTCUSDT&interval=7m", -1120),
        ("binance", "klines?symbol=BTCUSDT&interval=1m&timeZone=15", -1130),
        ("binance", "ticker?windowSize=1h", -1102),
        ("binance", "ticker?symbol=BTCUSDT&windowSize=60m", -1130),
        ("binance", "ticker/24hr?symbol=BTCUSDT&type=HUGE", -1130),
        ("binance", "ticker/price?symbol=BTCUSDT&symbolStatus=HALT", -1220),
        ("binance", 'ticker/price?symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128),
        ("binance-usdm", "klines?symbol=BTCUSDT&interval=1s", -1120),
        ("binance-usdm", "klines?symbol=BTCUSDT&interval=1m&limit=1501", -1130),
        ("binance-usdm", "aggTrades?symbol=BTCUSDT&startTime=1&endTime=3600001", -1127),
        ("binance-usdm", "historicalTrades?symbol=BTCUSDT", -2014),
        ("binance-usdm", "ticker/price?symbol=NOPE", -1121),
        ("binance-coinm", "ticker/price?symbol=BTCUSD_PERP&pair=BTCUSD", -1128),
        ("binance-coinm", "ticker/price?pair=NOPE", -1121),
    ],
)
def test_bad_parameters_have_the_venues_codes(family, path, code):
    async def scenario():
        async with exchange(family) as sim:
            status, _, text = await sim.get(path)
            assert (status, json.loads(text)["code"]) == (401 if code == -2014 else 400, code)

    run(scenario)


def test_coin_margined_pair_lists_its_contracts():
    async def scenario():
        async with exchange("binance-coinm") as sim:
            for path in ("ticker/price", "ticker/bookTicker", "ticker/24hr", "premiumIndex"):
                rows = await sim.rows(f"{path}?pair=BTCUSD")
                assert [row["symbol"] for row in rows] == ["BTCUSD_PERP", "BTCUSD_261225"]
            dated = rows[1]
            assert (dated["lastFundingRate"], dated["nextFundingTime"]) == ("", 0)

    run(scenario)


SPOT_TICKER = [
    *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastPrice"),
    *("lastQty", "bidPrice", "bidQty", "askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume"),
    *("quoteVolume", "openTime", "closeTime", "firstId", "lastId", "count"),
]
WINDOW_TICKER = [*SPOT_TICKER[:4], *SPOT_TICKER[11:14], "lastPrice", *SPOT_TICKER[14:]]
MINI_TICKER = ["symbol", *WINDOW_TICKER[4:]]
USDM_TICKER = [*SPOT_TICKER[:4], "lastPrice", "lastQty", *SPOT_TICKER[11:]]
ROWS = [
    ("binance", "ticker/24hr?symbol=BTCUSDT", SPOT_TICKER),
    ("binance", "ticker/24hr?symbol=BTCUSDT&type=MINI", MINI_TICKER),
    ("binance", "ticker?symbol=BTCUSDT", WINDOW_TICKER),
    ("binance", "ticker/price?symbol=BTCUSDT", ["symbol", "price"]),
    ("binance", "ticker/bookTicker", ["symbol", "bidPrice", "bidQty", "askPrice", "askQty"]),
    (
        "binance",
        "trades?symbol=BTCUSDT",
        ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"],
    ),
    ("binance", "aggTrades?symbol=BTCUSDT", list("apqflTmM")),
    ("binance-usdm", "ticker/24hr?symbol=BTCUSDT", USDM_TICKER),
    ("binance-usdm", "ticker/price", ["symbol", "price", "time"]),
    ("binance-usdm", "ticker/bookTicker", ["symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time"]),
    (
        "binance-usdm",
        "trades?symbol=BTCUSDT",
        ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isRPITrade"],
    ),
    ("binance-usdm", "aggTrades?symbol=BTCUSDT", ["a", "p", "q", "nq", "f", "l", "T", "m"]),
    (
        "binance-usdm",
        "premiumIndex?symbol=BTCUSDT",
        [
            "symbol",
            "markPrice",
            "indexPrice",
            "estimatedSettlePrice",
            "lastFundingRate",
            "interestRate",
            "nextFundingTime",
            "time",
        ],
    ),
    (
        "binance-coinm",
        "ticker/24hr",
        ["symbol", "pair", *("baseVolume" if key == "quoteVolume" else key for key in USDM_TICKER[1:])],
    ),
    ("binance-coinm", "ticker/price", ["symbol", "ps", "price", "time"]),
    (
        "binance-coinm",
        "ticker/bookTicker",
        ["lastUpdateId", "symbol", "pair", "bidPrice", "bidQty", "askPrice", "askQty", "time"],
    ),
    ("binance-coinm", "trades?symbol=BTCUSD_PERP", ["id", "price", "qty", "baseQty", "time", "isBuyerMaker"]),
    ("binance-coinm", "aggTrades?symbol=BTCUSD_PERP", list("apqflTm")),
]


@pytest.mark.parametrize(("family", "path", "keys"), ROWS)
def test_rows_have_the_keys_of_the_venue_in_its_order(family, path, keys):
    async def scenario():
        async with exchange(family) as sim:
            sim.feed.advance(sim.symbol, 1000)
            rows = await sim.rows(path)
            for row in rows if isinstance(rows, list) else [rows]:
                assert list(row) == keys

    run(scenario)


NASTY = ["", "0", "-1", "1e3", "9" * 20, "9" * 21, "9" * 16, "BTCUSDT", "[]", '["BTCUSDT"]', "1M", "1s"]
NASTY += ["1d", "0d", "d", "+14:00", "-12:00", "14:01", "99:99", "\u0663", "\x00", "a" * 3000, "MINI"]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_parameter_makes_an_answer_that_the_venue_has_not(family):
    async def scenario():
        async with exchange(family, weight_limit=10**9) as sim:
            sim.feed.advance(sim.symbol, 1000)
            sound = {"symbol": sim.symbol, "interval": "1M"}
            seen = set()
            for path, route in sim.feed.publisher.routes().items():
                for name in route.names:
                    for value in NASTY:
                        needed = {key: text for key, text in sound.items() if key in route.names}
                        if name in ("symbols", "pair"):
                            needed.pop("symbol")
                        async with sim.session.get(
                            sim.venue.rest_url + path,
                            params={**needed, name: value},
                            headers={"X-MBX-APIKEY": "any"},
                        ) as response:
                            body = json.loads(await response.text())
                            assert response.status in (200, 400), (path, name, value)
                            assert response.status == 200 or body["code"] < -1000, (path, name, value)
                            seen.add(response.status)
            assert seen == {200, 400}

    run(scenario)


WEIGHTS = [
    ("binance", "trades?symbol=BTCUSDT", 25),
    ("binance", "aggTrades?symbol=BTCUSDT", 4),
    ("binance", "klines?symbol=BTCUSDT&interval=1m", 2),
    ("binance", "ticker/24hr?symbol=BTCUSDT", 2),
    ("binance", 'ticker/24hr?symbols=["BTCUSDT","ETHUSDT"]', 2),
    ("binance", "ticker/24hr", 80),
    ("binance", "ticker/price?symbol=BTCUSDT", 2),
    ("binance", "ticker/bookTicker", 4),
    ("binance", 'ticker?symbols=["BTCUSDT","ETHUSDT"]', 8),
    ("binance-usdm", "trades?symbol=BTCUSDT", 5),
    ("binance-usdm", "klines?symbol=BTCUSDT&interval=1m&limit=99", 1),
    ("binance-usdm", "klines?symbol=BTCUSDT&interval=1m", 5),
    ("binance-usdm", "klines?symbol=BTCUSDT&interval=1m&limit=1001", 10),
    ("binance-usdm", "ticker/24hr", 40),
    ("binance-usdm", "ticker/bookTicker?symbol=BTCUSDT", 2),
    ("binance-usdm", "premiumIndex", 10),
    ("binance-coinm", "premiumIndex?symbol=BTCUSD_PERP", 10),
]


@pytest.mark.parametrize(("family", "path", "weight"), WEIGHTS)
def test_weight(family, path, weight):
    async def scenario():
        async with exchange(family) as sim:
            before = int((await sim.get("ping"))[1]["X-MBX-USED-WEIGHT-1M"])
            after = int((await sim.get(path))[1]["X-MBX-USED-WEIGHT-1M"])
            assert after - before == weight or after == weight  # a minute may have ended in between

    run(scenario)


# ---------------------------------------------------------------------- streams

TICKER = ["e", "E", "s", "p", "P", "w", "c", "Q", "o", "h", "l", "v", "q", "O", "C", "F", "L", "n"]
KEYS = {
    ("binance", "ticker"): [
        *("e", "E", "s", "p", "P", "w", "x", "c", "Q", "b", "B", "a", "A", "o", "h", "l", "v", "q"),
        *("O", "C", "F", "L", "n"),
    ],
    ("binance", "miniTicker"): ["e", "E", "s", "c", "o", "h", "l", "v", "q"],
    ("binance-usdm", "ticker"): [*TICKER, "ps", "st"],
    ("binance-usdm", "miniTicker"): ["e", "E", "s", "c", "o", "h", "l", "v", "q", "ps", "st"],
    ("binance-coinm", "ticker"): [*TICKER[:3], "ps", *TICKER[3:], "st"],
    ("binance-coinm", "miniTicker"): ["e", "E", "s", "ps", "c", "o", "h", "l", "v", "q", "st"],
}


@pytest.mark.parametrize(("family", "kind"), KEYS)
def test_ticker_streams_say_what_rest_says_and_only_when_something_changed(family, kind):
    async def scenario():
        async with exchange(family) as sim:
            name = sim.symbol.lower()
            streams = [f"{name}@{kind}", "!miniTicker@arr"]
            async with sim.connect(streams, MARKET[family]) as ws:
                await until(lambda: len(sim.venue.hub.streams) == 2)
                sim.feed.publisher.tickers.publish_tickers()  # nothing was traded: nothing to say
                sim.feed.advance(sim.symbol, 1000)
                for _ in range(2):  # the second time nothing has changed
                    sim.feed.publisher.tickers.publish_tickers()
                    sim.feed.publisher.tickers.publish_all("!miniTicker@arr")
                sim.venue.hub.flush()
                frame, every = json.loads(await text_of(ws)), json.loads(await text_of(ws))
                assert (frame["stream"], every["stream"]) == tuple(streams)
                event = frame["data"]
                assert list(event) == KEYS[family, kind]
                day = await sim.rows(f"ticker/24hr?symbol={sim.symbol}")
                day = day[0] if family == "binance-coinm" else day
                told = {"o": "openPrice", "h": "highPrice", "l": "lowPrice", "c": "lastPrice", "v": "volume"}
                assert {key: event[key] for key in told} == {key: day[row] for key, row in told.items()}
                assert [row["s"] for row in every["data"]] == [sim.symbol]
                assert list(every["data"][0]) == KEYS[family, "miniTicker"]
                assert sim.venue.hub.frames_sent == 2

    run(scenario)


def test_times_of_ticker_events_are_in_the_unit_of_the_connection():
    async def scenario():
        async with exchange("binance") as sim:
            url = f"{sim.venue.ws_url}/ws/btcusdt@ticker?timeUnit=MICROSECOND"
            async with sim.session.ws_connect(url) as ws:
                await until(lambda: sim.venue.hub.streams)
                sim.feed.advance("BTCUSDT", 1000)
                sim.feed.publisher.tickers.publish_tickers()
                sim.venue.hub.flush()
                event = json.loads(await text_of(ws))
                assert event["E"] == event["C"] and event["C"] - event["O"] == 86_400_000_000
                assert event["E"] > 10**15

    run(scenario)


@pytest.mark.parametrize("family", FAMILIES)
def test_kline_stream_tells_every_bar_to_its_end(family, monkeypatch):
    clock = [1_767_571_200 * 10**9]
    monkeypatch.setattr("mdp.sim.feed.time.time_ns", lambda: clock[0])

    async def scenario():
        async with exchange(family) as sim:
            stream = f"{sim.symbol.lower()}@kline_1m"
            async with sim.connect([stream], MARKET[family]) as ws:
                await until(lambda: sim.venue.hub.streams)
                told = []
                # Trades in the first minute, nothing in the second, then some in the third.
                for at_s, events in ((1, 800), (2, 0), (30, 800), (61, 0), (125, 800), (180, 0)):
                    clock[0] = (1_767_571_200 + at_s) * 10**9
                    sim.feed.advance(sim.symbol, events)
                    sim.feed.publisher.tickers.publish_klines()
                    sim.venue.hub.flush()
                while not told or told[-1]["k"]["t"] < 1_767_571_380_000:
                    told.append(json.loads(await text_of(ws))["data"])
                start = 1_767_571_200_000
                assert [((event["k"]["t"] - start) // 60_000, event["k"]["x"]) for event in told] == [
                    (0, False),
                    (0, False),
                    (0, True),
                    (1, False),
                    (1, True),
                    (2, False),
                    (2, True),
                    (3, False),
                ]
                quiet = told[4]["k"]
                assert (quiet["n"], quiet["f"], quiet["L"], Decimal(quiet["v"])) == (0, -1, -1, 0)
                assert quiet["o"] == quiet["c"] == told[2]["k"]["c"]
                rows = await sim.rows(f"klines?symbol={sim.symbol}&interval=1m")
                closed = [event["k"] for event in told if event["k"]["x"]]
                assert [
                    [k["t"], k["o"], k["h"], k["l"], k["c"], k["v"], k["T"], k["q"], k["n"]] for k in closed
                ] == [row[:9] for row in rows[:3]]

    run(scenario)


# ---------------------------------------------------------------------- what the documentation lists


def listed(title):
    """Return the rows of the table below a heading of docs/sim.md: first cell, and a cell for each family."""
    section = DOCS.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    assert rows, title
    return [(re.findall(r"`([^`]+)`", row[0]), dict(zip(FAMILIES, row[1:], strict=True))) for row in rows]


@pytest.mark.parametrize("family", FAMILIES)
def test_documentation_lists_every_route_that_is_served(family):
    async def scenario():
        async with exchange(family) as sim:
            documented = {
                path for paths, cells in listed("Routes") for path in paths if cells[family] != "no"
            }
            served = {f"{BASE[family]}/{name}" for name in ("ping", "time", "exchangeInfo", "depth")}
            served |= set(sim.feed.publisher.routes())
            bases = tuple(f"{base}/" for base in FAMILIES[family].rest_bases)
            names = {path.removeprefix(next((b for b in bases if path.startswith(b)), "")) for path in served}
            assert documented == names
            for name in documented:
                path = name if name.startswith("/") else f"{BASE[family]}/{name}"
                async with sim.session.get(sim.venue.rest_url + path) as response:
                    assert response.status != 404, path

    run(scenario)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_documented_stream_has_frames_and_no_other_is_promised(family):
    async def scenario():
        quick = {"rate": 2000.0, "depth_interval_ms": 5, "slow_depth_interval_ms": 20}
        async with exchange(family, **quick, mark_interval_ms=10, ticker_interval_ms=20) as sim:
            names = {"symbol": sim.symbol.lower(), "interval": "1m", "levels": "5", "window": "1h"}
            for texts, cells in listed("Streams"):
                for text in texts:
                    stream = re.sub(r"<(\w+)>", lambda match: names[match[1]], text)
                    assert sim.feed.publisher.serves(stream) is (cells[family] != "no"), stream
                    if cells[family] == "no":
                        continue
                    route = next(r for r in FAMILIES[family].routes if FAMILIES[family].carries(r, stream))
                    async with sim.connect([stream], route) as ws:
                        assert json.loads(await text_of(ws))["stream"] == stream

    run(scenario)
