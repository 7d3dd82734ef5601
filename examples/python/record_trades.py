"""Write every trade of a segment to a CSV file, with exact decimals, until the publisher ends.

    python record_trades.py [SEGMENT [FILE]]

Trades come in batches of columns, so a busy market costs little. A reader that is too slow is told how many
events it lost; the file then has a hole, and the number is printed.
"""

from __future__ import annotations

import csv
import sys
import time

from mdp import ReadStatus, Subscriber


def record(segment: str, path: str) -> int:
    """Return how many trades were written."""
    feed = Subscriber(segment, from_oldest=True)
    written = lost = 0
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        while True:
            batch = feed.poll(65_536)
            trades = batch.columns("trades", numbers="decimal")
            if written == 0 and len(trades["price"]) > 0:
                out.writerow(trades)
            out.writerows(zip(*trades.values(), strict=True))
            written += len(trades["price"])
            if feed.lost_events > lost:
                lost = feed.lost_events
                print(f"lost {lost} events so far", file=sys.stderr)
            if batch.status in (ReadStatus.OK, ReadStatus.LAPPED):
                continue  # there is more
            file.flush()
            if feed.publisher_gone:
                return written  # stopped, dead or replaced; feed.reattach() finds a successor
            time.sleep(0.01)


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    print(record(arguments.get(1, "mdp"), arguments.get(2, "trades.csv")), "trades")
