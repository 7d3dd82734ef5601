"""Print the order imbalance of one book's best five levels each time its top moves.

    python imbalance.py [SEGMENT [SYMBOL]]

The imbalance is (bids - asks) / (bids + asks) of the quantities: 1 is all bids, -1 is all asks. A book is
used while it is LIVE and its publisher runs, and no longer.
"""

from __future__ import annotations

import sys

from mdp import EventType, Subscriber


def main(segment: str, symbol: str) -> None:
    """Print until the publisher ends."""
    follower = Subscriber(segment).follow(symbol)
    for event in follower:
        if event.type != EventType.BBO or not follower.live:
            continue
        # Integers of one exponent: a ratio needs no conversion.
        bids, asks = (sum(size for _, size in follower.book.levels(side, 5)) for side in ("bids", "asks"))
        if bids + asks > 0:
            print(event.update_id, f"{(bids - asks) / (bids + asks):.3f}")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(arguments.get(1, "mdp"), arguments.get(2, "BTCUSDT"))
