"""The embedded exchange: a venue on loopback with a known truth, replays and faults on demand.

``python -m mdp.sim`` or `start_sim_process` runs it in a process of its own; `SimServer` runs it inside an
event loop.
"""

from __future__ import annotations

from mdp.sim.families import FAMILIES
from mdp.sim.faults import FAULT_KINDS, FaultError
from mdp.sim.instruments import BUILT_IN, Instrument
from mdp.sim.limits import Counters
from mdp.sim.market import Market, OutsideHistoryError
from mdp.sim.options import SimOptions
from mdp.sim.process import SimProcess, SimProcessError, start_sim_process
from mdp.sim.replay import ReplayError
from mdp.sim.server import SimServer
from mdp.sim.tls import TLS_FLAVOURS, TlsFiles, create_tls, ensure_tls

__all__ = [
    "BUILT_IN",
    "FAMILIES",
    "FAULT_KINDS",
    "TLS_FLAVOURS",
    "Counters",
    "FaultError",
    "Instrument",
    "Market",
    "OutsideHistoryError",
    "ReplayError",
    "SimOptions",
    "SimProcess",
    "SimProcessError",
    "SimServer",
    "TlsFiles",
    "create_tls",
    "ensure_tls",
    "start_sim_process",
]
