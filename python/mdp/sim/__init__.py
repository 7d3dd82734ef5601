"""The embedded exchange: a venue on loopback with a known truth, replays and faults on demand.

``mdp sim`` or `start_sim_process` runs it in a process of its own; `SimServer` runs it inside an event loop.
Each name is loaded when it is first used: who starts a process of its own needs no server in this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdp.sim.faults import FAULT_KINDS, FaultError
    from mdp.sim.instruments import Instrument
    from mdp.sim.limits import Counters
    from mdp.sim.market import Market, OutsideHistoryError
    from mdp.sim.options import SimOptions
    from mdp.sim.process import SimProcess, SimProcessError, start_sim_process
    from mdp.sim.replay import ReplayError
    from mdp.sim.server import SimServer
    from mdp.sim.tls import TLS_FLAVOURS, TlsFiles, create_tls, ensure_tls
    from mdp.sim.wire import FAMILIES
else:
    from mdp._loading import on_first_use

    # The same once more, for running programs; a test compares the two and __all__.
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "mdp.sim.wire": ("FAMILIES",),
            "mdp.sim.faults": (
                "FAULT_KINDS",
                "FaultError",
            ),
            "mdp.sim.instruments": ("Instrument",),
            "mdp.sim.limits": ("Counters",),
            "mdp.sim.market": (
                "Market",
                "OutsideHistoryError",
            ),
            "mdp.sim.options": ("SimOptions",),
            "mdp.sim.process": (
                "SimProcess",
                "SimProcessError",
                "start_sim_process",
            ),
            "mdp.sim.replay": ("ReplayError",),
            "mdp.sim.server": ("SimServer",),
            "mdp.sim.tls": (
                "TLS_FLAVOURS",
                "TlsFiles",
                "create_tls",
                "ensure_tls",
            ),
        },
    )

__all__ = [
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
