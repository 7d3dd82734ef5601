"""Books and events as the command line writes them: plain text, numbers as exact decimals."""

from __future__ import annotations

from mdp._core import (
    FUNDING_RATE_EXPONENT,
    Event,
    EventFlag,
    EventType,
    InstrumentEntry,
    format_decimal,
)
from mdp.errors import SegmentError
from mdp.reading.reader import Book, Subscriber


def top_line(book: Book) -> str:
    """Return ``SYMBOL STATE UPDATE_ID BID_PRICE BID_QTY ASK_PRICE ASK_QTY``; ``-`` for an empty side."""
    bid = book.levels("bids", 1) or [("-", "-")]
    ask = book.levels("asks", 1) or [("-", "-")]
    return " ".join(
        [book.instrument.canonical_symbol, book.state.name, str(book.update_id), *bid[0], *ask[0]]
    )


def publisher_line(subscriber: Subscriber) -> str:
    """Return what the publisher is, how old its last sign of life is, and which start of it this is."""
    status, age = subscriber.publisher_status().name.lower(), subscriber.heartbeat_age_s
    return f"publisher {status}, heartbeat {age:.1f} s old, generation {subscriber.generation:016x}"


def print_book(book: Book, depth: int, *, top_only: bool = False) -> None:
    """Print one book, best levels first, or its top in one line."""
    if top_only:
        print(top_line(book))
        return
    print(f"{book.instrument.canonical_symbol}  {book.state.name} ({book.why})  update {book.update_id}")
    bids, asks = book.levels("bids", depth), book.levels("asks", depth)
    print(f"{'quantity':>18} {'bid':>16} | {'ask':<16} {'quantity':<18}")
    for index in range(max(len(bids), len(asks))):
        bid_price, bid_quantity = bids[index] if index < len(bids) else ("", "")
        ask_price, ask_quantity = asks[index] if index < len(asks) else ("", "")
        print(f"{bid_quantity:>18} {bid_price:>16} | {ask_price:<16} {ask_quantity:<18}".rstrip())


def describe_event(event: Event, subscriber: Subscriber) -> str:
    """Return one line that tells an event, numbers as exact decimals."""
    head = f"{event.sequence} {event.type.name.lower()}"
    if event.type == EventType.CONNECTION_STATUS:
        return f"{head} line={event.line} state={event.line_state.name.lower()}"
    try:
        instrument = subscriber.instrument(event.symbol_id)
    except SegmentError:  # removed since
        return f"{head} symbol_id={event.symbol_id}"
    head += f" {instrument.canonical_symbol}"
    if event.type == EventType.BBO:
        source = "venue" if event.flags & EventFlag.VENUE_QUOTE.value else "book"
        bid, ask = _level(event.bid, instrument), _level(event.ask, instrument)
        return f"{head} id={event.update_id} bid={bid} ask={ask} source={source}"
    if event.type == EventType.TRADE:
        trade = _level((event.price, event.quantity), instrument)
        return f"{head} trade_id={event.trade_id} side={event.side.name.lower()} {trade}"
    if event.type == EventType.LIQUIDATION:
        order = _level((event.price, event.quantity), instrument)
        filled = format_decimal(event.filled_quantity, instrument.quantity_exponent)
        return f"{head} side={event.side.name.lower()} {order} filled={filled}"
    if event.type == EventType.MARK_PRICE:
        return f"{head} {_mark_price(event, instrument)}"
    if event.type == EventType.BOOK_STATE:
        return f"{head} id={event.update_id} state={event.book_state.name} reason={event.reason.name.lower()}"
    if event.type in (EventType.BOOK_DELTA, EventType.BOOK_SNAPSHOT):
        ids = f"id={event.first_update_id}..{event.update_id}"
        return f"{head} {ids} bids={len(event.bids)} asks={len(event.asks)}"
    return head


def _mark_price(event: Event, instrument: InstrumentEntry) -> str:
    mark = format_decimal(event.mark_price, instrument.price_exponent)
    index = format_decimal(event.index_price, instrument.price_exponent)
    if not event.next_funding_ts_ns:
        return f"mark={mark} index={index}"
    rate = format_decimal(event.funding_rate, FUNDING_RATE_EXPONENT)
    return f"mark={mark} index={index} funding={rate}"


def _level(level: tuple[int, int], instrument: InstrumentEntry) -> str:
    price = format_decimal(level[0], instrument.price_exponent)
    return f"{price}x{format_decimal(level[1], instrument.quantity_exponent)}"
