"""Settings of one sim, with the venue's own limits as defaults."""

from __future__ import annotations

from dataclasses import dataclass

from mdp.sim.wire.protocol import Wire


@dataclass(frozen=True)
class SimOptions:
    """Everything that can be set.

    Attributes
    ----------
    host : str
        Address to listen on.
    port : int
        TCP port of the first family, the others take those after it; 0 takes any free ones.
    tls : bool
        False serves plain ``http`` and ``ws``, for load runs that want no encryption.
    tls_dir : str or None
        Where certificates are kept; None makes a temporary directory that is removed at the end.
    tls_flavour : str
        See `mdp.sim.tls.TLS_FLAVOURS`.
    families : list of str or None
        Products served, each on a port of its own: keys of `mdp.sim.wire.FAMILIES`. None serves spot, or
        in a replay what was recorded.
    symbols : list of str, int or None
        See `mdp.sim.instruments.select_instruments`; of names, each family takes those it has. Ignored in a
        replay.
    seed : int
        Seed of the synthetic market.
    rate : float
        Events per second per symbol; an event is about 1.05 book changes. 0 freezes the market.
    tick_ms : float
        How often the market moves on and pending frames are flushed.
    depth_interval_ms, slow_depth_interval_ms : int
        Interval of ``@depth@100ms``, and of spot's ``@depth``; the other speeds of futures keep their ratio
        to the first.
    depth_phases : int
        In how many ways depth batches are cut: the lines of a stream take turns, and a line's cuts come
        ``line % depth_phases`` parts of an interval later. 1 cuts all lines alike.
    mark_interval_ms : int
        Interval of ``@markPrice@1s`` and of ``@forceOrder``; that of ``@markPrice`` is three times as long.
    ticker_interval_ms : int
        Interval of spot's ``@ticker``; all other tickers, averages and klines keep their ratio to it.
    classic_frames : bool
        Futures frames without the keys that came in 2025 and 2026.
    history_changes : int
        Book changes a symbol remembers at least; raised to 90 s worth of `rate`.
    weight_limit : int or None
        REST weight per minute and address; None is the venue's.
    ban_after : int
        Requests made in spite of 429 before the answer becomes 418.
    strict : bool
        Enforce the limits on client messages per second and on connection attempts; they are counted always.
    client_messages_per_s, connects_per_5_min, max_streams : int
        Those limits; the number of streams holds always. None is the venue's.
    ping_interval_s, pong_timeout_s : float or None
        Keep-alive; None is the venue's.
    max_connection_age_s : float
        After which a connection is closed.
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
    families: list[str] | None = None
    symbols: list[str] | int | None = None
    seed: int = 1
    rate: float = 300.0
    tick_ms: float = 5.0
    depth_interval_ms: int = 100
    slow_depth_interval_ms: int = 1000
    depth_phases: int = 1
    mark_interval_ms: int = 1000
    ticker_interval_ms: int = 1000
    classic_frames: bool = False
    history_changes: int = 65_536
    weight_limit: int | None = None
    ban_after: int = 20
    strict: bool = False
    client_messages_per_s: int | None = None
    connects_per_5_min: int = 300
    max_streams: int = 1024
    ping_interval_s: float | None = None
    pong_timeout_s: float | None = None
    max_connection_age_s: float = 86_400.0
    client_buffer_bytes: int = 8 << 20
    replay: str | None = None
    speed: float = 1.0
    start_streams: int = 0
    start_grace_s: float = 0.2
    snapshot_wait_s: float = 10.0

    def weight_of(self, family: Wire) -> int:
        """Return the weight a minute may use on a family."""
        return family.weight_limit if self.weight_limit is None else self.weight_limit
