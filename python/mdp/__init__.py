"""mdp: a crypto market data provider that publishes exact order books over shared memory.

`Provider` runs the control side: it connects to venues and publishes. `Subscriber` reads what a provider
publishes, from any process on the machine. The command line is ``mdp`` (``python -m mdp``).

Each name is loaded when it is first used: who reads loads no server, no TLS and no YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdp._core import (
        BookState,
        EventFlag,
        EventType,
        LocalBook,
        PublisherStatus,
        ReadStatus,
        Side,
        StateReason,
    )
    from mdp._version import __version__
    from mdp.configuring.config import Config, load_config
    from mdp.errors import ConfigError, ConnectError, LappedError, MdpError, SegmentError, StaleBookError
    from mdp.providing.provider import Provider
    from mdp.reading.batch import EventBatch
    from mdp.reading.reader import Book, Follower, Subscriber
else:
    from mdp._loading import on_first_use

    # The same once more, for running programs; a test compares the two and __all__.
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "mdp._core": (
                "BookState",
                "EventFlag",
                "EventType",
                "LocalBook",
                "PublisherStatus",
                "ReadStatus",
                "Side",
                "StateReason",
            ),
            "mdp._version": ("__version__",),
            "mdp.configuring.config": ("Config", "load_config"),
            "mdp.errors": (
                "ConfigError",
                "ConnectError",
                "LappedError",
                "MdpError",
                "SegmentError",
                "StaleBookError",
            ),
            "mdp.providing.provider": ("Provider",),
            "mdp.reading.batch": ("EventBatch",),
            "mdp.reading.reader": ("Book", "Follower", "Subscriber"),
        },
    )

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
    "PublisherStatus",
    "ReadStatus",
    "SegmentError",
    "Side",
    "StaleBookError",
    "StateReason",
    "Subscriber",
    "__version__",
    "load_config",
]
