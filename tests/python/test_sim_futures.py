"""USD-M and COIN-M of the sim: frames as documented, the pu rule against the truth, routes, metadata."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from decimal import Decimal

import aiohttp
import pytest
from mdp.sim import FAMILIES, Market, SimOptions, SimServer
from mdp.sim.market import SharedIds
from mdp.sim.wire.binance.instruments import FAMILY_INSTRUMENTS
from support.reference_book import FuturesReferenceBook

DEADLINE_S = 60
FUTURES = ["binance-usdm", "binance-coinm"]
SYMBOLS = ["BTCUSDT", "ETHUSDT", "BTCUSD_PERP", "BTCUSD_261225"]
BTC = {"binance": "BTCUSDT", "binance-usdm": "BTCUSDT", "binance-coinm": "BTCUSD_PERP"}
REST = {name: row.rest_bases[0] for name, row in FAMILIES.items()}
MS = r"\d{13}"


@contextlib.asynccontextmanager
async def sim(**changes):
    """A server of all three families and a session that trusts it."""
    options = {
        "families": list(FAMILIES),
        "symbols": SYMBOLS,
        "rate": 500.0,
        "depth_interval_ms": 20,
        **changes,
    }
    async with SimServer(SimOptions(**options)) as server:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield server, session


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 300))


def connect(server, session, family, path, **kwargs):
    return session.ws_connect(server.venues[family].ws_url + path, max_msg_size=0, **kwargs)


async def next_text(ws):
    message = await asyncio.wait_for(ws.receive(), DEADLINE_S)
    assert message.type == aiohttp.WSMsgType.TEXT, message
    return message.data


async def get(server, session, family, path):
    async with session.get(server.venues[family].rest_url + path) as response:
        return response.status, response.headers, await response.text()


def route_of(family, stream):
    if family != "binance-usdm":
        return ""
    return "/public" if re.search(r"@(depth|bookTicker|trade)", stream) else "/market"


def number(decimals):
    return rf"\d+\.\d{{{decimals}}}" if decimals else r"\d+"


def formats(family, classic):
    """Patterns of every event of bitcoin's perpetual, whole and in key order."""
    coin = family == "binance-coinm"
    price, quantity = (number(1), number(0)) if coin else (number(2), number(3))
    symbol = f'"s":"{BTC[family]}"'
    # COIN-M had the pair in depth and bookTicker long before 2026; its trades got it then.
    pair = f',"ps":"{"BTCUSD" if coin else "BTCUSDT"}"'
    always, new = (pair if coin or not classic else ""), ("" if classic else pair)
    end = r"\}" if classic else rf',"st":{2 if coin else 1}\}}'
    level = rf'\["{price}","{quantity}"\]'
    levels = rf"\[(?:{level}(?:,{level})*)?\]"
    nq = "" if classic else f'"nq":"{quantity}",'
    average = "" if classic else rf',"ap":"{number(8)}"'
    depth = (
        rf'\{{"e":"depthUpdate","E":{MS},"T":{MS},{symbol}{always},"U":\d+,"u":\d+,"pu":\d+,'
        rf'"b":{levels},"a":{levels}{end}'
    )
    head = r'"u":\d+,"e":"bookTicker"' if coin else r'"e":"bookTicker","u":\d+'
    mark = (
        rf'\{{"e":"markPriceUpdate","E":{MS},{symbol}{new},"p":"{number(8)}"{average},"P":"{number(8)}",'
        rf'"i":"{number(8)}","r":"-?{number(8)}","T":{MS}{end}'
    )
    return {
        "depth": depth,
        "depth@100ms": depth,
        "depth@500ms": depth,
        "depth@0ms": depth,
        "depth5@100ms": depth,
        "bookTicker": (
            rf'\{{{head},{symbol}{always},"b":"{price}","B":"{quantity}","a":"{price}","A":"{quantity}",'
            rf'"T":{MS},"E":{MS}{end}'
        ),
        "trade": (
            rf'\{{"e":"trade","E":{MS},"T":{MS},{symbol}{new},"t":\d+,"p":"{price}","q":"{quantity}",'
            rf'"X":"(?:MARKET|INSURANCE_FUND)","m":(?:true|false){end}'
        ),
        "aggTrade": (
            rf'\{{"e":"aggTrade","E":{MS},"a":\d+,{symbol}{new},"p":"{price}","q":"{quantity}",{nq}'
            rf'"f":\d+,"l":\d+,"T":{MS},"m":(?:true|false){end}'
        ),
        "markPrice": mark,
        "markPrice@1s": mark,
        "forceOrder": (
            rf'\{{"e":"forceOrder","E":{MS},"o":\{{{symbol}{always},"S":"(?:BUY|SELL)","o":"LIMIT","f":"IOC",'
            rf'"q":"{quantity}","p":"{price}","ap":"{price}","X":"FILLED","l":"{quantity}","z":"{quantity}",'
            rf'"T":{MS}\}}{end}'
        ),
    }


@pytest.mark.parametrize("classic", [False, True], ids=["2026", "classic"])
@pytest.mark.parametrize("family", FUTURES)
def test_frames_have_the_documented_form_raw_and_combined(family, classic):
    async def scenario():
        async with sim(classic_frames=classic, mark_interval_ms=20) as (server, session):
            for kind, pattern in formats(family, classic).items():
                stream = f"{BTC[family].lower()}@{kind}"
                route = route_of(family, stream)
                async with connect(server, session, family, f"{route}/ws/{stream}") as ws:
                    text = await next_text(ws)
                    assert re.fullmatch(pattern, text), (kind, text)
                async with connect(server, session, family, f"{route}/stream?streams={stream}") as ws:
                    text = await next_text(ws)
                    assert re.fullmatch(rf'\{{"stream":"{stream}","data":{pattern}\}}', text), (kind, text)

    run(scenario)


async def joined_book(server, session, ws, family, stream, symbol):
    """Join snapshot and deltas by the futures rule."""
    book = FuturesReferenceBook()
    while True:
        frame = json.loads(await next_text(ws))
        if frame["stream"] == stream:
            book.on_delta(frame["data"])
        if book.buffered:
            path = f"{REST[family]}/depth?symbol={symbol}&limit=1000"
            if book.on_snapshot((await get(server, session, family, path))[2]):
                return book


def decimals(levels):
    return [[Decimal(price), Decimal(quantity)] for price, quantity in levels]


@pytest.mark.parametrize("speed", ["", "@100ms", "@500ms", "@0ms"])
@pytest.mark.parametrize("family", FUTURES)
def test_joined_book_and_book_ticker_equal_the_truth(family, speed):
    async def scenario():
        async with sim() as (server, session):
            symbol = BTC[family]
            stream, ticker = f"{symbol.lower()}@depth{speed}", f"{symbol.lower()}@bookTicker"
            path = f"{route_of(family, stream)}/stream?streams={stream}/{ticker}"
            async with connect(server, session, family, path) as ws:
                book = await joined_book(server, session, ws, family, stream, symbol)
                tickers, shared, skipped, last = {}, 0, 0, None
                while book.applied < 25 or not shared:
                    frame = json.loads(await next_text(ws))
                    data = frame["data"]
                    if frame["stream"] == ticker:
                        tickers[data["u"]] = decimals([(data["b"], data["B"]), (data["a"], data["A"])])
                        continue
                    assert last is None or data["pu"] == last
                    assert data["pu"] < data["U"] <= data["u"]
                    skipped += data["U"] > data["pu"] + 1
                    last = data["u"]
                    for side in (data["b"], data["a"]):
                        prices = [Decimal(price) for price, _ in side]
                        assert prices == sorted(set(prices))
                    book.on_delta(data)
                    if not book.applied:
                        continue
                    query = f"/sim/truth?symbol={symbol}&updateId={book.last_id}&depth=400"
                    truth = json.loads((await get(server, session, family, query))[2])
                    assert truth["updateId"] == book.last_id
                    mine = book.depth(400)
                    assert decimals(mine[0]) == decimals(truth["bids"])
                    assert decimals(mine[1]) == decimals(truth["asks"])
                    if book.last_id in tickers:
                        shared += 1
                        assert tickers[book.last_id] == [*decimals(mine[0][:1]), *decimals(mine[1][:1])]
                assert skipped and book.crossed == 0

    run(scenario)


def test_families_have_books_ids_and_prices_of_their_own():
    async def scenario():
        async with sim(rate=0.0) as (server, _):
            assert [venue.symbols for venue in server.venues.values()] == [
                ["BTCUSDT", "ETHUSDT"],
                ["BTCUSDT", "ETHUSDT"],
                ["BTCUSD_PERP", "BTCUSD_261225"],
            ]
            tops = {name: server.market(BTC[name], name).top() for name in FAMILIES}
            assert len({top.update_id for top in tops.values()}) == 3
            ports = [venue.port for venue in server.venues.values()]
            assert len(set(ports)) == 3 and server.port == ports[0]

    run(scenario)


def test_shared_ids_never_meet_and_do_not_change_the_book():
    spec = FAMILY_INSTRUMENTS["binance-usdm"]
    one, other = (Market(spec[i], 3, shared_ids=SharedIds(5_000, 4, i)) for i in (0, 1))
    dense = Market(spec[0], 3)
    seen = {one.update_id: one.depth(30)}
    ids, previous = set(), one.update_id
    for _ in range(6000):
        one.advance(1)
        if one.update_id != previous:
            assert one.first_id_after(previous) <= one.update_id
            previous = one.update_id
        seen[previous] = one.depth(30)
        ids.add(previous)
    dense.advance(6000)
    other.advance(6000)
    assert dense.depth(5000) == one.depth(5000) and dense.changes == one.changes
    assert other.update_id % 4 == 1 and all(number % 4 == 0 for number in ids)
    for update_id, book in list(seen.items())[::61]:
        assert one.depth_at(update_id, 30) == book
        assert one.depth_at(update_id + 1, 30) == book  # an id of somebody else's
    assert one.id_before(0) == one.update_id
    chain = [one.id_before(count) for count in range(5000)]
    assert chain == sorted(set(chain), reverse=True) and chain[-1] > 5_000
    bids, asks = one.batch(one.id_before(50))
    assert 0 < len(bids) + len(asks) <= 50


@pytest.mark.parametrize(
    ("path", "stream", "heard"),
    [
        ("/public/ws", "btcusdt@bookTicker", True),
        ("/market/ws", "btcusdt@bookTicker", False),
        ("/market/ws", "btcusdt@markPrice@1s", True),
        ("/public/ws", "btcusdt@markPrice@1s", False),
        ("/market/ws", "btcusdt@aggTrade", True),
        ("/public/ws", "btcusdt@aggTrade", False),
        ("/market/ws", "btcusdt@depth@100ms", False),
        ("/market/ws", "btcusdt@depth5", False),
        ("/market/ws", "btcusdt@trade", False),
        ("/public/ws", "btcusdt@forceOrder", False),
    ],
)
def test_usdm_stream_on_the_wrong_route_is_acked_and_silent(path, stream, heard):
    async def scenario():
        async with sim(rate=0.0, mark_interval_ms=5) as (server, session):
            feed = server.venues["binance-usdm"].feed
            hub = server.venues["binance-usdm"].hub
            async with connect(server, session, "binance-usdm", path) as ws:
                await ws.send_str(json.dumps({"method": "SUBSCRIBE", "params": [stream], "id": 1}))
                assert await next_text(ws) == '{"result":null,"id":1}'
                await ws.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": 2}))
                while "id" not in (answer := json.loads(await next_text(ws))):
                    pass
                assert answer["result"] == [stream]
                assert hub.wanted(stream) is heard
                sent = hub.frames_sent
                feed.advance("BTCUSDT", 2000)
                feed.publisher.publish_depth("")
                feed.publisher.publish_depth("@100ms")
                feed.publisher.publish_marks("@markPrice@1s")
                feed.publisher.publish_liquidations()
                assert (hub.frames_sent > sent) is heard

    run(scenario)


@pytest.mark.parametrize("path", ["/ws", "/stream?streams=btcusdt@depth", "/ws/btcusdt@depth"])
def test_usdm_paths_without_a_route_are_retired(path):
    async def scenario():
        async with sim(rate=0.0) as (server, session):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connect(server, session, "binance-usdm", path)
            assert refused.value.status == 404

    run(scenario)


def test_force_order_is_the_newest_liquidation_of_the_interval():
    async def scenario():
        async with sim(rate=0.0, mark_interval_ms=3_600_000) as (server, session):
            venue = server.venues["binance-coinm"]
            path = "/stream?streams=btcusd_perp@forceOrder/!forceOrder@arr/btcusd_perp@aggTrade"
            async with connect(server, session, "binance-coinm", path) as ws:
                while not venue.hub.clients:
                    await asyncio.sleep(0.001)
                derivative = venue.feed.publisher.derivatives["BTCUSD_PERP"]
                while derivative.liquidation is None:
                    venue.feed.advance("BTCUSD_PERP", 100)
                newest = derivative.liquidation
                venue.feed.publisher.publish_liquidations()
                venue.feed.publisher.publish_liquidations()
                venue.hub.flush()
                orders, fills = [], {}
                while len(orders) < 2:
                    frame = json.loads(await next_text(ws))
                    if frame["data"]["e"] == "forceOrder":
                        orders.append(frame["data"]["o"])
                    else:
                        fills[frame["data"]["a"]] = frame["data"]
                assert orders[0] == orders[1]
                fill = fills[newest.agg_id]
                assert (orders[0]["q"], orders[0]["p"]) == (fill["q"], fill["p"])
                assert orders[0]["S"] == ("SELL" if fill["m"] else "BUY")

    run(scenario)


def test_insurance_fund_trades_are_no_part_of_agg_trades():
    async def scenario():
        async with sim(rate=0.0) as (server, session):
            venue = server.venues["binance-coinm"]
            path = "/stream?streams=btcusd_perp@trade/btcusd_perp@aggTrade"
            async with connect(server, session, "binance-coinm", path) as ws:
                while not venue.hub.clients:
                    await asyncio.sleep(0.001)
                market = server.market("BTCUSD_PERP", "binance-coinm")
                venue.feed.advance("BTCUSD_PERP", 20_000)
                last = market._trade_id
                venue.hub.flush()
                origins, covered = {}, set()
                while last not in origins or (last not in covered and origins[last] == "MARKET"):
                    data = json.loads(await next_text(ws))["data"]
                    if data["e"] == "trade":
                        origins[data["t"]] = data["X"]
                    else:
                        covered |= set(range(data["f"], data["l"] + 1))
                assert covered == {number for number, origin in origins.items() if origin == "MARKET"}
                assert "INSURANCE_FUND" in origins.values()

    run(scenario)


def test_mark_price_names_the_next_funding_and_dated_contracts_have_none():
    async def scenario():
        async with sim(rate=0.0, mark_interval_ms=10) as (server, session):
            path = "/stream?streams=btcusd_perp@markPrice@1s/btcusd_261225@markPrice@1s"
            async with connect(server, session, "binance-coinm", path) as ws:
                events = {}
                while len(events) < 2:
                    data = json.loads(await next_text(ws))["data"]
                    events[data["s"]] = data
            perpetual, dated = events["BTCUSD_PERP"], events["BTCUSD_261225"]
            assert (
                perpetual["T"] % (8 * 3_600_000) == 0 and 0 < perpetual["T"] - perpetual["E"] <= 8 * 3_600_000
            )
            assert abs(Decimal(perpetual["r"])) <= Decimal("0.0003")
            assert (dated["r"], dated["T"]) == ("", 0)
            top = server.market("BTCUSD_PERP", "binance-coinm").top()
            middle = Decimal(top.bid_ticks + top.ask_ticks) / 20
            assert abs(Decimal(perpetual["p"]) / middle - 1) < Decimal("0.0002")

    run(scenario)


@pytest.mark.parametrize("family", FUTURES)
def test_snapshot_form_limits_and_weights(family):
    async def scenario():
        async with sim(rate=0.0) as (server, session):
            symbol = BTC[family]
            coin = family == "binance-coinm"
            names = f'"symbol":"{symbol}","pair":"BTCUSD",' if coin else ""
            price, quantity = (number(1), number(0)) if coin else (number(2), number(3))
            level = rf'\["{price}","{quantity}"\]'
            levels = rf"\[{level}(?:,{level})*\]"
            used = 0
            for limit, weight in ((None, 10), (5, 2), (50, 2), (100, 5), (500, 10), (1000, 20)):
                query = "" if limit is None else f"&limit={limit}"
                path = f"{REST[family]}/depth?symbol={symbol}{query}"
                status, headers, body = await get(server, session, family, path)
                assert status == 200
                assert re.fullmatch(
                    rf'\{{"lastUpdateId":\d+,"E":{MS},"T":{MS},{names}"bids":{levels},"asks":{levels}\}}',
                    body,
                )
                assert len(json.loads(body)["bids"]) == min(
                    limit or 500, len(server.market(symbol, family).bids)
                )
                now = int(headers["X-MBX-USED-WEIGHT-1M"])
                assert now in (used + weight, weight)  # the minute may have ended in between
                used = now
            for bad in ("7", "5000"):
                status, _, body = await get(
                    server, session, family, f"{REST[family]}/depth?symbol={symbol}&limit={bad}"
                )
                assert status == 400 and json.loads(body)["code"] == -1130
            assert (await get(server, session, family, f"/api/v3/depth?symbol={symbol}"))[0] == 404
            assert (await get(server, session, family, f"{REST[family]}/ping"))[2] == "{}"
            assert re.fullmatch(
                rf'\{{"serverTime":{MS}\}}', (await get(server, session, family, f"{REST[family]}/time"))[2]
            )

    run(scenario)


@pytest.mark.parametrize("family", FUTURES)
def test_exchange_info_has_the_futures_form(family):
    async def scenario():
        async with sim(rate=0.0) as (server, session):
            status, _, text = await get(server, session, family, f"{REST[family]}/exchangeInfo")
            info = json.loads(text)
            coin = family == "binance-coinm"
            assert status == 200 and info["rateLimits"][0]["limit"] == 2400
            assert ("futuresType" in info) is not coin
            assert [entry["symbol"] for entry in info["symbols"]] == server.venues[family].symbols
            for entry in info["symbols"]:
                spec = server.market(entry["symbol"], family).instrument
                filters = {row["filterType"]: row for row in entry["filters"]}
                assert next(iter(filters["PRICE_FILTER"])) != "filterType"
                assert Decimal(filters["PRICE_FILTER"]["tickSize"]) == Decimal(spec.price_text(1))
                assert Decimal(filters["LOT_SIZE"]["stepSize"]) == Decimal(spec.quantity_text(1))
                if coin:
                    assert "status" not in entry and entry["contractStatus"] == "TRADING"
                    assert (entry["contractSize"], entry["marginAsset"]) == (100, "BTC")
                    assert "MIN_NOTIONAL" not in filters
                else:
                    assert entry["status"] == "TRADING" and "contractSize" not in entry
                    assert filters["MIN_NOTIONAL"]["notional"] == "5"
            kinds = {
                entry["symbol"]: (entry["contractType"], entry["deliveryDate"]) for entry in info["symbols"]
            }
            assert kinds[BTC[family]] == ("PERPETUAL", 4133404800000)
            if coin:
                assert kinds["BTCUSD_261225"] == ("CURRENT_QUARTER", 1798185600000)

    run(scenario)


def test_markets_of_futures_are_seeded():
    spec = FAMILY_INSTRUMENTS["binance-coinm"][0]
    ids = SharedIds(1_000, 3, 0)
    one, other = Market(spec, 9, shared_ids=ids), Market(spec, 9, shared_ids=ids)
    assert one.advance(500) == [event for step in (3, 97, 400) for event in other.advance(step)]
    assert one.update_id == other.update_id and one.depth(900) == other.depth(900)
    assert Market(spec, 8, shared_ids=ids).depth(50) != Market(spec, 9, shared_ids=ids).depth(50)


def test_unknown_families_and_symbols_are_named():
    for options, text in (
        ({"families": ["binance-options"]}, "binance-options"),
        ({"families": ["binance-usdm"], "symbols": ["BTCUSD_PERP"]}, "BTCUSD_PERP"),
        ({"families": list(FAMILIES), "symbols": ["BTCUSDT"]}, "binance-coinm"),
        ({"families": list(FAMILIES), "symbols": ["BTCUSDT", "BTCUSD_PERP", "NOPE"]}, "NOPE"),
    ):
        with pytest.raises(ValueError, match=text):
            SimServer(SimOptions(**options))


@pytest.mark.parametrize("family", FUTURES)
@pytest.mark.parametrize("levels", [5, 10, 20])
def test_partial_book_is_the_true_one_best_first_on_both_sides(family, levels):
    async def scenario():
        async with sim() as (server, session):
            symbol = BTC[family]
            stream = f"{symbol.lower()}@depth{levels}@100ms"
            path = f"{route_of(family, stream)}/stream?streams={stream}"
            async with connect(server, session, family, path) as ws:
                for _ in range(20):
                    data = json.loads(await next_text(ws))["data"]
                    market = server.market(symbol, family)
                    spec = market.instrument
                    for side, true in zip(("b", "a"), market.depth_at(data["u"], levels), strict=True):
                        assert len(true) == levels
                        assert data[side] == [[spec.price_text(p), spec.quantity_text(q)] for p, q in true]

    run(scenario)
