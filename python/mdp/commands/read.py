"""``mdp book`` and ``mdp tail``: what a segment has, once or as it comes."""

from __future__ import annotations

import sys
from typing import Annotated, Optional

import typer

from mdp.commands.text import describe_event, print_book, publisher_line
from mdp.reading.reader import Subscriber

TrustedUid = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=0, help="Take segments of this user (a number), too, not only your own and root's."),
]


def tail(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    symbol: Annotated[list[str], typer.Option(help="Only these symbols; may be given again.")] = [],  # noqa: B006
    oldest: Annotated[bool, typer.Option(help="Begin with the oldest event still in the ring.")] = False,
    count: Annotated[int, typer.Option(min=0, help="Stop after this many events; 0: never.")] = 0,
    trusted_uid: TrustedUid = None,
) -> None:
    """Print every event of a segment as it comes."""
    subscriber = Subscriber(segment, from_oldest=oldest, trusted_uid=trusted_uid)
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
    print(f"{segment} has ended: {publisher_line(subscriber)}", file=sys.stderr)


def book(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    symbol: Annotated[str, typer.Argument(help="BTCUSDT or binance:BTC-USDT.")],
    depth: Annotated[int, typer.Option(min=1, help="Levels a side.")] = 10,
    top: Annotated[
        bool, typer.Option("--top", help="One line: symbol, state, update id, bid, quantity, ask, quantity.")
    ] = False,
    trusted_uid: TrustedUid = None,
) -> None:
    """Print the present book of one symbol. It is LIVE only while its publisher runs."""
    subscriber = Subscriber(segment, trusted_uid=trusted_uid)
    print_book(subscriber.book(symbol), depth, top_only=top)
    if not top:
        print(publisher_line(subscriber))
