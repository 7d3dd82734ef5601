"""What a provider says of itself: `Provider.health` returns it, the metrics show it."""

from __future__ import annotations

from dataclasses import dataclass

from mdp._core import EngineHealth


@dataclass(frozen=True)
class Health:
    """What `Provider.health` returns: counts of books by state, and the engine's counters."""

    symbols: int
    live: int
    syncing: int
    stale: int
    missing: dict[str, int]
    """By venue, how much of the configuration cannot be had now: see `Provider.missing`."""
    engine: EngineHealth
    """Its numbers are named and explained in core/counters.def; `mdp._core.metrics` lists them."""
    age_s: float
    """How long ago the control thread published this: some 10 ms, or it is busy, or it hangs."""
