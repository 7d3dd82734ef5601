"""Binance: spot, USD-M and COIN-M futures."""

from __future__ import annotations

from mdp.sim.wire.binance.families import FAMILIES

__all__ = ["FAMILIES"]
