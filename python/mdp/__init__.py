"""mdp: a crypto market data provider that publishes exact order books over shared memory.

`Provider` runs the control side: it connects to venues and publishes. `Subscriber` reads what a provider
publishes, from any process on the machine. The command line is ``mdp`` (``python -m mdp``).
"""

from __future__ import annotations

from importlib.metadata import version

from mdp._core import BookState, EventFlag, EventType, ReadStatus, Side, StateReason
from mdp.configuring.config import Config, load_config
from mdp.errors import ConfigError, ConnectError, LappedError, MdpError, SegmentError, StaleBookError
from mdp.providing.provider import Provider
from mdp.reading.batch import EventBatch
from mdp.reading.local_book import LocalBook
from mdp.reading.reader import Book, Follower, Subscriber

__version__ = version("mdp")

__all__ = [
    "Book",
    "BookState",
    "Config",
    "ConfigError",
    "ConnectError",
    "EventBatch",
    "EventFlag",
    "EventType",
    "Follower",
    "LappedError",
    "LocalBook",
    "MdpError",
    "Provider",
    "ReadStatus",
    "SegmentError",
    "Side",
    "StaleBookError",
    "StateReason",
    "Subscriber",
    "__version__",
    "load_config",
]
