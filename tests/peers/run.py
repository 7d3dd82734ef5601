"""Hold the embedded exchange against public clients: `make peers`.

Each client runs in the environment of its own that `scripts/peers` made, connects to an exchange of all
families, keeps books of several symbols and says each book that it shows with its update id. Every one is
compared with the exchange's truth at that id. One that is wrong, and a symbol without any, make the exit code
1; then look who is wrong, the client or the exchange.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mdp.sim import SimProcess, start_sim_process

HERE = Path(__file__).parent
DEPTH = 100
"""Levels a side that are compared. All of them are within the 1,000 of the snapshots that the clients fetch.
What is behind those is unknown to any client until it changes."""
COMPARE_S = 150.0
"""How long after the run books may still be compared; the exchange remembers them for longer."""
SPOT = ["BTCUSDT", "ETHUSDT", "LTCUSDT", "ETHBTC"]
USDM = ["BTCUSDT", "ETHUSDT", "LTCUSDT", "BTCUSDT_261225"]
COINM = ["BTCUSD_PERP", "BTCUSD_261225"]


@dataclass(frozen=True)
class Client:
    """One program.

    Attributes
    ----------
    tls : bool
        Whether it can be told whom to trust.
    coinm : list of str
        The COIN-M contracts that it can follow.
    """

    tls: bool = True
    coinm: tuple[str, ...] = tuple(COINM)


CLIENTS = {
    "ccxt": Client(),
    "cryptofeed": Client(),
    # Its WebSocket trusts the roots that are built into it, and nothing else. Version 1.221 asks for BTCUSD
    # where a perpetual contract of COIN-M is called BTCUSD_PERP.
    "nautilus": Client(tls=False, coinm=("BTCUSD_261225",)),
}


class Tally:
    """What came of the books of one client."""

    def __init__(self) -> None:
        self.books: Counter[tuple[str, str]] = Counter()
        self.wrong: Counter[tuple[str, str]] = Counter()
        self.shown: list[str] = []
        self.failed = False

    def compare(self, sim: SimProcess, said: dict) -> None:
        """Count a book, and say what is wrong with it."""
        key = said["family"], said["symbol"]
        self.books[key] += 1
        try:
            truth = sim.truth(said["symbol"], said["id"], DEPTH, venue=said["family"])
        except LookupError as error:
            self._wrong(key, said, str(error))
            return
        for side in ("bids", "asks"):
            true, shown = ([tuple(map(Decimal, level)) for level in of[side]] for of in (truth, said))
            if true != shown:
                rank = next(
                    (n for n, (a, b) in enumerate(zip(true, shown, strict=False)) if a != b),
                    min(len(true), len(shown)),
                )
                pair = [levels[rank] if rank < len(levels) else None for levels in (true, shown)]
                self._wrong(key, said, f"{side} rank {rank}: true {pair[0]}, shown {pair[1]}")
                return

    def _wrong(self, key: tuple[str, str], said: dict, why: str) -> None:
        self.wrong[key] += 1
        if self.wrong[key] <= 3:
            self.shown.append(f"{key[0]} {key[1]} at {said['id']}: {why}")


def run_client(
    name: str, python: str, seconds: float, wanted: dict[str, list[str]], faults: list[dict] | None = None
) -> tuple[Tally, list[str], dict[str, int]]:
    """Let one client keep the wanted books.

    Returns the tally, what the client noted (its version first), and the limits of the venue that it broke.
    """
    client = CLIENTS[name]
    symbols = list(dict.fromkeys(symbol for of in wanted.values() for symbol in of))
    with start_sim_process(families=list(wanted), symbols=symbols, plain=not client.tls) as sim:
        for fault in faults or []:
            sim.fault(**fault)
        task = {
            "ca_file": sim.ca_file,
            "depth": DEPTH,
            "seconds": seconds,
            "families": {
                family: {
                    "rest_url": at["rest_url"],
                    "ws_url": at["ws_url"],
                    "symbols": wanted[family],
                }
                for family, at in sim.venues.items()
            },
        }
        trust = {"SSL_CERT_FILE": sim.ca_file, "REQUESTS_CA_BUNDLE": sim.ca_file} if sim.ca_file else {}
        with (
            log_of(name).open("w") as log,
            subprocess.Popen(
                [python, str(HERE / f"{name}_books.py"), json.dumps(task)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **trust},
            ) as process,
        ):
            tally, notes = follow(sim, process, seconds)
        if process.returncode != 0:
            notes.append(f"it ended with exit code {process.returncode}; see {log_of(name)}")
            tally.failed = True
        return tally, notes, sim.counters()["violations"]


def log_of(name: str) -> Path:
    """Return where a client's own log goes."""
    return Path(f"build/peers/{name}.log")


def hold(name: str, python: str, seconds: float) -> bool:
    """Run one client; print what came of it, and return whether all was right."""
    wanted = {"binance": SPOT, "binance-usdm": USDM, "binance-coinm": list(CLIENTS[name].coinm)}
    tally, notes, violations = run_client(name, python, seconds, wanted)
    version = notes.pop(0) if notes else f"{name}: no word"
    missing = [f"{f} {s}" for f, of in wanted.items() for s in of if not tally.books[f, s]]
    for family, of in wanted.items():
        books, wrong = (sum(counts[family, symbol] for symbol in of) for counts in (tally.books, tally.wrong))
        counted = f"{len(of)} symbols {books:6} books, {books - wrong} equal, {wrong} wrong"
        print(f"{version:24} {family:14} {counted}", flush=True)
    for line in (*tally.shown, *(f"no book of {symbol}" for symbol in missing), *notes[:10]):
        print(f"  {line}")
    if violations:
        print(f"  limits it broke: {violations}")
    return not (tally.failed or tally.wrong or missing)


def sees_a_wrong_book(name: str, python: str) -> bool:
    """Return whether a book that the exchange itself spoils is called wrong.

    If it were not, "all equal" would mean nothing.
    """
    spoil = {"kind": "wrong_level", "stream": "btcusdt@depth*", "skip": 20, "count": 1}
    tally, _, _ = run_client(name, python, 10.0, {"binance": ["BTCUSDT", "ETHUSDT"]}, [spoil])
    wrong = tally.wrong["binance", "BTCUSDT"]
    print(f"{name}: a level spoiled on purpose made {wrong} books of BTCUSDT wrong")
    return wrong > 0 and not tally.wrong["binance", "ETHUSDT"]


def follow(sim: SimProcess, process: subprocess.Popen[str], seconds: float) -> tuple[Tally, list[str]]:
    """Compare books while the client runs; it is read at once, so that it never waits for a comparison."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    watchdog = threading.Timer(seconds + 120, process.kill)
    watchdog.start()
    tally, notes = Tally(), []
    while (line := lines.get(timeout=seconds + COMPARE_S)) is not None:
        said = json.loads(line)
        if "note" in said:
            notes.append(said["note"])
        else:
            tally.compare(sim, said)
    process.wait()
    watchdog.cancel()
    return tally, notes


def main() -> int:
    """Run the clients asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="interpreter of the environment with the clients")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each client runs (60)")
    parser.add_argument("clients", nargs="*", default=list(CLIENTS), help=f"of: {', '.join(CLIENTS)}")
    asked = parser.parse_args()
    unknown = [name for name in asked.clients if name not in CLIENTS]
    if unknown:
        parser.error(f"no such client: {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    right = [hold(name, asked.python, asked.seconds) for name in asked.clients]
    right.append(sees_a_wrong_book(asked.clients[0], asked.python))
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
