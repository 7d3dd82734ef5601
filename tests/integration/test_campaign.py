"""Long campaigns: faults at random for as long as it takes. A book that says LIVE is true at every look."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from integration.harness import RingModel, assert_book_is_true, assert_ring_is_true, wait_for, wait_live
from mdp import Provider, Subscriber
from mdp.sim import SimProcess

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"]
FAULTS = 150
LOOKS_AFTER_EACH = 3


def random_fault(rng: random.Random) -> dict[str, Any]:
    """Draw a fault of any kind that leaves the ids honest."""
    symbol = rng.choice([*SYMBOLS, "*"])
    stream = rng.choice([f"{symbol.lower()}@depth@100ms", f"{symbol.lower()}@*"])
    frame = {"stream": stream, "count": rng.randint(1, 3), "skip": rng.randint(0, 3)}
    return rng.choice(
        [
            {"kind": "drop", **frame},
            {"kind": "duplicate", **frame},
            {"kind": "reorder", **frame},
            {"kind": "corrupt", **frame},
            {"kind": "truncate", **frame},
            {"kind": "truncate", "mode": "frame", "stream": stream},
            {"kind": "oversized", "symbol": symbol, "levels": rng.randint(100, 5000)},
            {"kind": "disconnect", "mode": rng.choice(["reset", "abort", "close"])},
            {"kind": "stall", "ms": rng.randint(10, 500)},
            {"kind": "half_open"},
            {"kind": "shutdown_notice"},
            {"kind": "refuse_connect", "status": 503, "count": rng.randint(1, 3)},
            {"kind": "snapshot_stale", "symbol": symbol, "updates": rng.randint(1, 3000)},
            {
                "kind": "snapshot_error",
                "symbol": symbol,
                "status": rng.choice([500, 429, 418]),
                "retry_after": 1,
            },
            {"kind": "snapshot_truncate", "symbol": symbol},
            {"kind": "snapshot_delay_ms", "symbol": symbol, "ms": rng.randint(10, 800)},
        ]
    )


@pytest.mark.stress
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_live_books_are_true_under_any_faults(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str, seed: int
) -> None:
    sim = start_sim(symbols=SYMBOLS, seed=seed, rate=150, weight_limit=1_000_000)
    # Small snapshots cost little of the minute's budget; the books are deep enough for the levels compared.
    provider = provider_for(sim, snapshot_depth=100, idle_timeout_ms=1500, over={"segment": {"levels": 5}})
    wait_live(provider)
    subscriber, model = Subscriber(segment), RingModel(segment)
    rng = random.Random(seed)
    looks = 0
    for _ in range(FAULTS):
        fault = random_fault(rng)
        sim.fault(fault.pop("kind"), **fault)
        for _ in range(LOOKS_AFTER_EACH):
            before = provider.health().engine.events
            wait_for(lambda before=before: provider.health().engine.events > before + 20, "events")
            model.catch_up()
            for symbol in SYMBOLS:
                book = subscriber.book(symbol)
                if book.live:
                    assert_book_is_true(sim, book)
                    looks += 1
    sim.clear_faults()
    wait_live(provider)
    for symbol in SYMBOLS:
        assert_book_is_true(sim, subscriber.book(symbol, require_live=True))
        model.catch_up()
        assert_ring_is_true(sim, model, symbol, 5)
    print(f"{FAULTS} faults, {looks} looks at LIVE books, {model.subscriber.lost_events} events lost")
    assert looks > FAULTS
    assert model.subscriber.lost_events == 0
