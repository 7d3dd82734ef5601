"""Python reader: events per second into NumPy, beside the same ring read object by object.

    .venv/bin/python bench/bench_python_reader.py

A publisher fills a ring once; every repeat reads it from the oldest event on, the two ways taking turns.
Prints one line a batch size: medians and their ratio. `--min-rate` makes it fail below so many events per
second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from mdp import EventBatch, EventType, Subscriber
from support.live import LivePublisher


def arrays(batch: EventBatch) -> int:
    """Touch what a program would: headers, levels, trades, quotes."""
    columns = (batch.headers, batch.level_offset, batch.levels, batch.trades, batch.bbo)
    return len(columns[0])


def objects(batch: EventBatch) -> int:
    """Make an object of each event and look at one field."""
    count = 0
    for event in batch:
        count += event.type != EventType.INSTRUMENT
    return count


def rate(segment: str, batch_size: int, consume: Callable[[EventBatch], int], limit: int) -> float:
    """Read up to `limit` events of the ring; return events per second."""
    subscriber = Subscriber(segment, from_oldest=True)
    events = 0
    began = time.perf_counter()
    while events < limit:
        batch = subscriber.poll(batch_size)
        if not batch:
            break
        events += consume(batch)
    return events / (time.perf_counter() - began)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--ring-mib", type=int, default=128)
    parser.add_argument("--min-rate", type=float, default=0)
    options = parser.parse_args()
    slowest = float("inf")
    with LivePublisher(ring_bytes=options.ring_mib << 20) as publisher:
        # A step is 1.75 events and about 270 bytes: the ring is written once, and not lapped.
        events = publisher.fill((options.ring_mib << 20) // 320)
        print(f"{events} events in a ring of {options.ring_mib} MiB, {options.repeats} repeats")
        for size in (256, 1024, 8192, 65536):
            rates: dict[str, list[float]] = {"arrays": [], "objects": []}
            for _ in range(options.repeats):
                rates["arrays"].append(rate(publisher.segment, size, arrays, events))
                rates["objects"].append(rate(publisher.segment, size, objects, events // 8))
            into_numpy, one_by_one = (statistics.median(rates[way]) for way in ("arrays", "objects"))
            slowest = min(slowest, into_numpy)
            print(
                f"poll({size}): {into_numpy / 1e6:.1f} M events/s into NumPy "
                f"({min(rates['arrays']) / 1e6:.1f} to {max(rates['arrays']) / 1e6:.1f}), "
                f"{one_by_one / 1e6:.2f} M events/s as objects, ratio {into_numpy / one_by_one:.0f}"
            )
    if slowest < options.min_rate:
        print(f"slower than {options.min_rate:.0f} events per second", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
