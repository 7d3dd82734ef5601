"""Text of the spot venue's frames, byte for byte as it writes them."""

from __future__ import annotations

from mdp.sim.frames import DepthFrame, Frame
from mdp.sim.instruments import Instrument
from mdp.sim.market import AggregateTrade, Levels, Top, Trade


def levels_text(instrument: Instrument, levels: Levels) -> str:
    """Return a JSON array of ``["price","quantity"]`` pairs."""
    price = instrument.price_text
    quantity = instrument.quantity_text
    return "[" + ",".join([f'["{price(p)}","{quantity(q)}"]' for p, q in levels]) + "]"


def depth_update(
    stream: str, instrument: Instrument, first_id: int, top: Top, bids: Levels, asks: Levels, time_us: int
) -> DepthFrame:
    """Return the ``depthUpdate`` frame that ends at the update id of `top`."""

    def render(bids: Levels, asks: Levels) -> tuple[str, ...]:
        return (
            '{"e":"depthUpdate","E":',
            (
                f',"s":"{instrument.symbol}","U":{first_id},"u":{top.update_id},'
                f'"b":{levels_text(instrument, bids)},"a":{levels_text(instrument, asks)}}}'
            ),
        )

    return DepthFrame(stream, render, bids, asks, (time_us,), top)


def book_ticker(stream: str, instrument: Instrument, top: Top) -> Frame:
    """Return a ``bookTicker`` frame, which has neither an event type nor a time."""
    price = instrument.price_text
    quantity = instrument.quantity_text
    return Frame(
        stream,
        (
            (
                f'{{"u":{top.update_id},"s":"{instrument.symbol}",'
                f'"b":"{price(top.bid_ticks)}","B":"{quantity(top.bid_lots)}",'
                f'"a":"{price(top.ask_ticks)}","A":"{quantity(top.ask_lots)}"}}'
            ),
        ),
    )


def trade(stream: str, instrument: Instrument, event: Trade, times_us: tuple[int, int]) -> Frame:
    """Return a ``trade`` frame; the times are when it was sent and when it happened."""
    maker = "true" if event.buyer_is_maker else "false"
    return Frame(
        stream,
        (
            '{"e":"trade","E":',
            (
                f',"s":"{instrument.symbol}","t":{event.trade_id},'
                f'"p":"{instrument.price_text(event.price_ticks)}","q":"{instrument.quantity_text(event.lots)}","T":'
            ),
            f',"m":{maker},"M":true}}',
        ),
        times_us,
    )


def agg_trade(stream: str, instrument: Instrument, event: AggregateTrade, times_us: tuple[int, int]) -> Frame:
    """Return an ``aggTrade`` frame; the times are when it was sent and when it happened."""
    maker = "true" if event.buyer_is_maker else "false"
    return Frame(
        stream,
        (
            '{"e":"aggTrade","E":',
            (
                f',"s":"{instrument.symbol}","a":{event.agg_id},'
                f'"p":"{instrument.price_text(event.price_ticks)}","q":"{instrument.quantity_text(event.lots)}",'
                f'"f":{event.first_trade_id},"l":{event.last_trade_id},"T":'
            ),
            f',"m":{maker},"M":true}}',
        ),
        times_us,
    )


def partial_depth(stream: str, instrument: Instrument, update_id: int, bids: Levels, asks: Levels) -> Frame:
    """Return a partial book frame (``@depth5``, ``@depth10``, ``@depth20``)."""
    return Frame(stream, (depth_snapshot(instrument, update_id, bids, asks),))


def depth_snapshot(instrument: Instrument, update_id: int, bids: Levels, asks: Levels) -> str:
    """Return the body of ``GET /api/v3/depth``."""
    return (
        f'{{"lastUpdateId":{update_id},"bids":{levels_text(instrument, bids)},'
        f'"asks":{levels_text(instrument, asks)}}}'
    )


def server_shutdown(time_us: int) -> Frame:
    """Return the maintenance notice."""
    return Frame("!serverShutdown", ('{"e":"serverShutdown","E":', "}"), (time_us,))
