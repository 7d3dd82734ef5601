"""Turn recorded depth messages into small binary files that bench_order_book loads.

    python bench/prepare_deltas.py [RECORDINGS [OUTPUT]]

RECORDINGS (default: $MDP_SHARED_DATA, then ../shared/data) holds one folder per venue with .jsonl.gz files.
Each session of Binance spot, USD-M and COIN-M becomes OUTPUT/<venue>-<session>.deltas (default:
build/bench-data). Prices and quantities become integers at the finest exponent their symbol's digits have.
Per symbol the file begins with the first REST snapshot and goes on with the deltas behind it; the symbols
are interleaved as they were received.

File, little endian: 8 bytes "mdpdelta", u32 version (1), u32 symbols, u64 messages; then each message: u32
symbol, u32 kind (1 snapshot, 2 delta), u64 first, last and previous update id, i64 exchange and receive time
in ns, u32 bids, u32 asks, then bids and asks as pairs of i64 price and quantity, in the order they were sent.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VENUES = ("binance-spot", "binance-usdm", "binance-coinm")
MAGIC = b"mdpdelta"
SNAPSHOT, DELTA = 1, 2
Level = tuple[str, str]


@dataclass
class Message:
    """One snapshot or delta, its digits still text."""

    time: float
    symbol: str
    kind: int
    first: int
    last: int
    previous: int
    exchange_ns: int
    bids: list[Level]
    asks: list[Level]


def records(path: Path) -> Iterator[dict]:
    """Yield the records of a recorded file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def snapshots(path: Path) -> Iterator[Message]:
    """Yield the depth snapshots among the REST answers of a file."""
    for record in records(path):
        wanted = re.search(r"/depth\?.*symbol=(\w+)", record.get("url", ""))
        if not wanted or record["kind"] != "http":
            continue
        body = json.loads(record["data"])
        if "lastUpdateId" not in body:
            continue
        last = body["lastUpdateId"]
        bids, asks = body["bids"], body["asks"]
        yield Message(
            record["t"], wanted[1].upper(), SNAPSHOT, last, last, 0, body.get("E", 0) * 1_000_000, bids, asks
        )


def deltas(path: Path) -> Iterator[Message]:
    """Yield the depth deltas of a recorded connection."""
    for record in records(path):
        if record["kind"] != "ws-in" or "depthUpdate" not in record["data"]:
            continue
        frame = json.loads(record["data"])
        if "@depth" not in frame.get("stream", ""):
            continue
        data = frame["data"]
        yield Message(
            record["t"],
            data["s"],
            DELTA,
            data["U"],
            data["u"],
            data.get("pu", 0),
            data["E"] * 1_000_000,
            data["b"],
            data["a"],
        )


def decimals(text: str) -> int:
    """Count the decimal digits that matter."""
    return len(text.partition(".")[2].rstrip("0"))


def mantissa(text: str, digits: int) -> int:
    """Return the number times 10**digits, exact."""
    whole, _, fraction = text.partition(".")
    fraction = fraction[:digits].ljust(digits, "0")
    value = int(whole + fraction)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{text} does not fit 64 bits with {digits} decimals")
    return value


def joined(messages: list[Message]) -> list[Message]:
    """Keep, per symbol, its first snapshot and the deltas that go beyond it, snapshots first."""
    start: dict[str, Message] = {}
    for message in messages:
        if message.kind == SNAPSHOT:
            start.setdefault(message.symbol, message)
    kept = [
        message
        for message in messages
        if message.kind == DELTA and message.symbol in start and message.last > start[message.symbol].last
    ]
    return list(start.values()) + kept


def write(path: Path, messages: list[Message]) -> str:
    """Write one session and describe it."""
    symbols = {symbol: index for index, symbol in enumerate(dict.fromkeys(m.symbol for m in messages))}
    price_digits = dict.fromkeys(symbols, 0)
    quantity_digits = dict.fromkeys(symbols, 0)
    for message in messages:
        for price, quantity in (*message.bids, *message.asks):
            price_digits[message.symbol] = max(price_digits[message.symbol], decimals(price))
            quantity_digits[message.symbol] = max(quantity_digits[message.symbol], decimals(quantity))
    with path.open("wb") as out:
        out.write(MAGIC + struct.pack("<IIQ", 1, len(symbols), len(messages)))
        for m in messages:
            numbers = (
                symbols[m.symbol],
                m.kind,
                m.first,
                m.last,
                m.previous,
                m.exchange_ns,
                int(m.time * 1e9),
            )
            out.write(struct.pack("<IIQQQqqII", *numbers, len(m.bids), len(m.asks)))
            for price, quantity in (*m.bids, *m.asks):
                digits = price_digits[m.symbol], quantity_digits[m.symbol]
                out.write(struct.pack("<qq", mantissa(price, digits[0]), mantissa(quantity, digits[1])))
    levels = sum(len(m.bids) + len(m.asks) for m in messages if m.kind == DELTA)
    count = sum(m.kind == DELTA for m in messages)
    return f"{path.name}: {len(symbols)} symbols, {count} deltas, {levels / count:.1f} levels each"


def main() -> int:
    """Convert every session found."""
    root = Path(__file__).resolve().parent.parent
    arguments = sys.argv[1:]
    default = os.environ.get("MDP_SHARED_DATA", str(root.parent / "shared" / "data"))
    recordings = Path(arguments[0] if arguments else default)
    output = Path(arguments[1]) if len(arguments) > 1 else root / "build" / "bench-data"
    if not recordings.is_dir():
        print(f"prepare_deltas: no recordings at {recordings}; benches of recorded streams will be skipped")
        return 0
    output.mkdir(parents=True, exist_ok=True)
    for venue in VENUES:
        folder = recordings / venue
        for session in sorted({path.name.split(".")[0] for path in folder.glob("*.ws*.jsonl.gz")}):
            target = output / f"{venue}-{session}.deltas"
            sources = sorted(folder.glob(f"{session}.*.jsonl.gz"))
            newest = max(path.stat().st_mtime for path in [*sources, Path(__file__)])
            if target.exists() and target.stat().st_mtime >= newest:
                continue
            messages = [m for p in sources if ".http" in p.name for m in snapshots(p)]
            messages += [m for p in sources if ".ws" in p.name for m in deltas(p)]
            messages.sort(key=lambda message: message.time)
            print(write(target, joined(messages)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
