"""The registry of what the exchange can speak: a folder for each venue, and a line here.

Market, hub, limits and faults serve every family. What one says and takes (streams and their frames, answers
to requests, routes, instruments) is in its venue's folder, behind `mdp.sim.wire.protocol.Wire`.
"""

from __future__ import annotations

from mdp.sim.wire import binance
from mdp.sim.wire.protocol import Wire

_VENUES: tuple[tuple[Wire, ...], ...] = (binance.FAMILIES,)
"""A venue's line: the families that its folder has."""

FAMILIES: dict[str, Wire] = {family.name: family for families in _VENUES for family in families}
"""Every family the sim serves, by name; the first is served where none is named."""

DEFAULT = next(iter(FAMILIES.values()))
"""The family that is served where none is named."""
