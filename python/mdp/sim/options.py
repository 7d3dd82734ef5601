"""Settings of one sim, with the venue's own limits as defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SimOptions:
    """Everything that can be set.

    Attributes
    ----------
    host : str
        Address to listen on.
    port : int
        TCP port, 0 for any free one.
    tls : bool
        False serves plain ``http`` and ``ws``, for load runs that want no encryption.
    tls_dir : str or None
        Where certificates are kept; None makes a temporary directory that is removed at the end.
    tls_flavour : str
        See `mdp.sim.tls.TLS_FLAVOURS`.
    symbols : list of str, int or None
        See `mdp.sim.market.select_instruments`. Ignored in a replay.
    seed : int
        Seed of the synthetic market.
    rate : float
        Events per second per symbol; an event is about 1.05 book changes. 0 freezes the market.
    tick_ms : float
        How often the market moves on and pending frames are flushed.
    depth_interval_ms, slow_depth_interval_ms : int
        Interval of ``@depth@100ms`` and of ``@depth``.
    history_changes : int
        Book changes a symbol remembers at least; raised to 90 s worth of `rate`.
    weight_limit : int
        REST weight per minute and address.
    ban_after : int
        Requests made in spite of 429 before the answer becomes 418.
    strict : bool
        Enforce the limits on client messages per second and on connection attempts.
    client_messages_per_s, connects_per_5_min, max_streams : int
        Those limits; the number of streams holds always.
    ping_interval_s, pong_timeout_s : float
        Keep-alive.
    client_buffer_bytes : int
        Unsent bytes after which a slow client is disconnected (never in a replay).
    replay : str or None
        Path prefix of a recorded session; None runs the synthetic market.
    speed : float
        Pace of the replay: 1 as recorded, 0 as fast as the clients read.
    start_streams : int
        Distinct streams to be subscribed before a replay starts; 0 starts `start_grace_s` after the first.
    start_grace_s : float
        See `start_streams`.
    snapshot_wait_s : float
        How long the recorded clock stops for a snapshot to be fetched, and a request waits for the clock.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = True
    tls_dir: str | None = None
    tls_flavour: str = "good"
    symbols: list[str] | int | None = None
    seed: int = 1
    rate: float = 300.0
    tick_ms: float = 5.0
    depth_interval_ms: int = 100
    slow_depth_interval_ms: int = 1000
    history_changes: int = 65_536
    weight_limit: int = 6000
    ban_after: int = 20
    strict: bool = False
    client_messages_per_s: int = 5
    connects_per_5_min: int = 300
    max_streams: int = 1024
    ping_interval_s: float = 20.0
    pong_timeout_s: float = 60.0
    client_buffer_bytes: int = 8 << 20
    replay: str | None = None
    speed: float = 1.0
    start_streams: int = 0
    start_grace_s: float = 0.2
    snapshot_wait_s: float = 10.0
