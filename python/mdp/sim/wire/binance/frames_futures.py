"""Text of the futures venues' frames, in the key order of their pages and recordings.

``st`` (product), ``ps`` (pair) and ``nq`` (quantity without retail price improvement) came in 2025 and 2026;
with ``Style.classic`` the frames are those of the years before, where only COIN-M had ``ps``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mdp.sim.frames import DepthFrame, Frame
from mdp.sim.instruments import Instrument
from mdp.sim.market import AggregateTrade, Levels, Top, Trade
from mdp.sim.wire.binance.frames_spot import levels_text


@dataclass(frozen=True)
class Style:
    """Which keys the events of a family carry.

    Attributes
    ----------
    product : int
        Value of ``st``.
    classic : bool
        Leave out what came in 2025 and 2026.
    """

    product: int
    classic: bool = False

    def pair(self, instrument: Instrument) -> str:
        """Return the text of ``ps`` where it is shown, with the comma before it."""
        return f',"ps":"{instrument.pair}"' if self.product == 2 or not self.classic else ""

    @property
    def end(self) -> str:
        """Return the text of ``st`` where it is shown, and the closing brace."""
        return "}" if self.classic else f',"st":{self.product}}}'


def depth_update(
    stream: str,
    instrument: Instrument,
    style: Style,
    ids: tuple[int, int],
    top: Top,
    bids: Levels,
    asks: Levels,
    times_us: tuple[int, int],
    *,
    partial: bool = False,
) -> DepthFrame:
    """Return a ``depthUpdate`` frame: a delta, or a partial book, which looks the same but for its order.

    Parameters
    ----------
    stream, instrument, style
        What and how.
    ids : tuple of int
        First update id of the frame, and the last one of the frame before.
    top : Top
        The best levels after it, with its last update id.
    bids, asks : Levels
        Best first. The venue writes both sides of a delta by ascending price, so bids worst first, but both
        sides of a partial book best first.
    times_us : tuple of int
        Time sent and time of the last change.
    partial : bool
        Whether it is a partial book.
    """

    def render(bids: Levels, asks: Levels) -> tuple[str, ...]:
        first_id, previous_id = ids
        ordered = bids if partial else bids[::-1]
        return (
            '{"e":"depthUpdate","E":',
            ',"T":',
            (
                f',"s":"{instrument.symbol}"{style.pair(instrument)},"U":{first_id},"u":{top.update_id},'
                f'"pu":{previous_id},"b":{levels_text(instrument, ordered)},'
                f'"a":{levels_text(instrument, asks)}{style.end}'
            ),
        )

    return DepthFrame(stream, render, bids, asks, times_us, top)


def book_ticker(
    stream: str, instrument: Instrument, style: Style, top: Top, times_us: tuple[int, int]
) -> Frame:
    """Return a ``bookTicker`` frame; COIN-M writes ``u`` before ``e``."""
    price = instrument.price_text
    quantity = instrument.quantity_text
    head = (
        f'{{"u":{top.update_id},"e":"bookTicker"'
        if style.product == 2
        else f'{{"e":"bookTicker","u":{top.update_id}'
    )
    return Frame(
        stream,
        (
            (
                f'{head},"s":"{instrument.symbol}"{style.pair(instrument)},'
                f'"b":"{price(top.bid_ticks)}","B":"{quantity(top.bid_lots)}",'
                f'"a":"{price(top.ask_ticks)}","A":"{quantity(top.ask_lots)}","T":'
            ),
            ',"E":',
            style.end,
        ),
        (times_us[1], times_us[0]),
    )


def trade(
    stream: str,
    instrument: Instrument,
    style: Style,
    event: Trade,
    times_us: tuple[int, int],
    origin: str = "MARKET",
) -> Frame:
    """Return a ``trade`` frame; `origin` is what the venue calls ``X``."""
    maker = "true" if event.buyer_is_maker else "false"
    return Frame(
        stream,
        (
            '{"e":"trade","E":',
            ',"T":',
            (
                f',"s":"{instrument.symbol}"{"" if style.classic else style.pair(instrument)},'
                f'"t":{event.trade_id},"p":"{instrument.price_text(event.price_ticks)}",'
                f'"q":"{instrument.quantity_text(event.lots)}","X":"{origin}","m":{maker}{style.end}'
            ),
        ),
        times_us,
    )


def agg_trade(
    stream: str, instrument: Instrument, style: Style, event: AggregateTrade, times_us: tuple[int, int]
) -> Frame:
    """Return an ``aggTrade`` frame."""
    maker = "true" if event.buyer_is_maker else "false"
    pair = "" if style.classic else style.pair(instrument)
    quantity = instrument.quantity_text(event.lots)
    normal = "" if style.classic else f'"nq":"{quantity}",'
    return Frame(
        stream,
        (
            '{"e":"aggTrade","E":',
            (
                f',"a":{event.agg_id},"s":"{instrument.symbol}"{pair},'
                f'"p":"{instrument.price_text(event.price_ticks)}","q":"{quantity}",{normal}'
                f'"f":{event.first_trade_id},"l":{event.last_trade_id},"T":'
            ),
            f',"m":{maker}{style.end}',
        ),
        times_us,
    )


@dataclass(frozen=True)
class MarkPrice:
    """What the mark price stream says, prices and rate as text.

    Attributes
    ----------
    mark, average, index, settle : str
        Eight decimals.
    rate : str
        Funding rate, eight decimals, may be negative; empty for a dated contract.
    next_funding_us : int
        0 for a dated contract.
    """

    mark: str
    average: str
    index: str
    settle: str
    rate: str
    next_funding_us: int


def mark_price(stream: str, instrument: Instrument, style: Style, event: MarkPrice, time_us: int) -> Frame:
    """Return a ``markPriceUpdate`` frame."""
    average = "" if style.classic else f',"ap":"{event.average}"'
    return Frame(
        stream,
        (
            '{"e":"markPriceUpdate","E":',
            (
                f',"s":"{instrument.symbol}"{"" if style.classic else style.pair(instrument)},'
                f'"p":"{event.mark}"{average},"P":"{event.settle}","i":"{event.index}","r":"{event.rate}","T":'
            ),
            style.end,
        ),
        (time_us, event.next_funding_us),
    )


def force_order(
    stream: str, instrument: Instrument, style: Style, event: AggregateTrade, times_us: tuple[int, int]
) -> Frame:
    """Return a ``forceOrder`` frame for the taker order that made `event`."""
    side = "SELL" if event.buyer_is_maker else "BUY"
    price = instrument.price_text(event.price_ticks)
    quantity = instrument.quantity_text(event.lots)
    return Frame(
        stream,
        (
            '{"e":"forceOrder","E":',
            (
                f',"o":{{"s":"{instrument.symbol}"{style.pair(instrument)},"S":"{side}","o":"LIMIT","f":"IOC",'
                f'"q":"{quantity}","p":"{price}","ap":"{price}","X":"FILLED","l":"{quantity}",'
                f'"z":"{quantity}","T":'
            ),
            "}" + style.end,
        ),
        times_us,
    )


def depth_snapshot(
    instrument: Instrument,
    product: int,
    update_id: int,
    bids: Levels,
    asks: Levels,
    times_us: tuple[int, int],
) -> str:
    """Return the body of a futures depth snapshot; COIN-M names symbol and pair."""
    names = f'"symbol":"{instrument.symbol}","pair":"{instrument.pair}",' if product == 2 else ""
    return (
        f'{{"lastUpdateId":{update_id},"E":{times_us[0] // 1000},"T":{times_us[1] // 1000},{names}'
        f'"bids":{levels_text(instrument, bids)},"asks":{levels_text(instrument, asks)}}}'
    )
