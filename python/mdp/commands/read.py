"""``mdp book`` and ``mdp tail``: what a segment has, once or as it comes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mdp.commands.text import describe_event, print_book
from mdp.reading.reader import Subscriber


def tail(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    symbol: Annotated[list[str], typer.Option(help="Only these symbols; may be given again.")] = [],  # noqa: B006
    oldest: Annotated[bool, typer.Option(help="Begin with the oldest event still in the ring.")] = False,
    count: Annotated[int, typer.Option(min=0, help="Stop after this many events; 0: never.")] = 0,
) -> None:
    """Print every event of a segment as it comes."""
    subscriber = Subscriber(segment, from_oldest=oldest)
    wanted = {subscriber.instrument(name).symbol_id for name in symbol}
    printed = lost = 0
    try:
        for event in subscriber:
            if subscriber.lost_events != lost:
                print(
                    f"lost {subscriber.lost_events - lost} events: this reader was too slow", file=sys.stderr
                )
                lost = subscriber.lost_events
            if wanted and event.symbol_id not in wanted:
                continue
            print(describe_event(event, subscriber))
            printed += 1
            if printed == count:
                return
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        sys.stderr.close()
        return
    print(f"the publisher of {segment} is gone: {subscriber.publisher_status().name}", file=sys.stderr)


def book(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    symbol: Annotated[str, typer.Argument(help="BTCUSDT or binance:BTC-USDT.")],
    depth: Annotated[int, typer.Option(min=1, help="Levels a side.")] = 10,
    top: Annotated[
        bool, typer.Option("--top", help="One line: symbol, state, update id, bid, quantity, ask, quantity.")
    ] = False,
) -> None:
    """Print the present book of one symbol."""
    print_book(Subscriber(segment).book(symbol), depth, top_only=top)
