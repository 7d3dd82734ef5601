"""The configuration: YAML, checked by a typed schema before C++ sees any of it.

Every error names the file, the line, the key, what was found and what is allowed.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from mdp import _core
from mdp.configuring.native import CHANNELS, IDLE_MODE, NOT_NATIVE, OCTAL, SECRET, TOPOLOGY, fill
from mdp.configuring.origin import Origin, dotted
from mdp.errors import ConfigError

ChannelName = Literal["depth", "trade", "aggregate_trade", "quote", "mark_price", "liquidation"]


def _fits_the_directory(symbol: str) -> str:
    size = len(_utf8(symbol).encode())
    if size > _core.VENUE_SYMBOL_BYTES:
        raise ValueError(f"has {size} bytes; the segment's directory holds {_core.VENUE_SYMBOL_BYTES}")
    return symbol


SymbolName = Annotated[str, AfterValidator(_fits_the_directory)]
Core = Annotated[int, Field(ge=-1, lt=4096)]

# What C++ reads has its default there, in the struct with the field of the same name.
_SEGMENT = _core.SegmentConfig()
_ENGINE = _core.EngineConfig()
_VENUE = _core.VenueConfig()


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SegmentSection(_Section):
    """The shared-memory segment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$")] = _SEGMENT.name
    """What readers open it by: letters, digits, `_`, `-` and `.`, at most 200."""
    ring: ByteSize = ByteSize(_SEGMENT.ring)
    """Bytes of the event ring, a power of two of at least 64KiB."""
    instruments: Annotated[int, Field(ge=1, le=1_000_000)] = _SEGMENT.instruments
    """How many symbols the segment has room for."""
    levels: Annotated[int, Field(ge=1, le=128)] = _SEGMENT.levels
    """Best levels a side in the book table."""
    mode: Annotated[str, Field(pattern=r"^0[0-7]{3}$"), OCTAL] = OCTAL.to_yaml(_SEGMENT.mode)
    """Permission bits, octal in quotes. Nobody but the owner may write: readers refuse such a segment."""
    group: str = _SEGMENT.group
    """Group the segment is given to; empty: the process's own."""
    lock_memory: bool = _SEGMENT.lock_memory
    """Keep the segment in memory, never swapped out. Where RLIMIT_MEMLOCK does not allow it: a warning."""
    huge_pages: bool = _SEGMENT.huge_pages
    """Back it with pages of 2 MiB. Where /dev/shm is not mounted with huge=advise: a warning."""

    @field_validator("mode")
    @classmethod
    def _only_the_owner_writes(cls, value: str) -> str:
        if int(value, 8) & 0o022:
            raise ValueError("must let nobody but the owner write, as 0640 and 0644 do")
        return value

    @field_validator("ring")
    @classmethod
    def _power_of_two(cls, value: ByteSize) -> ByteSize:
        if value < 64 << 10 or value & (value - 1):
            raise ValueError("must be a power of two of at least 64KiB")
        return value


class CoresSection(_Section):
    """Cores to pin threads to; -1, or the end of a list, leaves a thread to the system."""

    connectors: list[Core] = _ENGINE.cores.connectors
    """Of the connections, in the order they are made. `fused` does everything on the first of them."""
    parsers: list[Core] = _ENGINE.cores.parsers
    """Of their parsers; `pipelined` alone."""
    managers: list[Core] = _ENGINE.cores.managers
    """Of the book managers; `pipelined` alone."""
    publisher: Core = _ENGINE.cores.publisher
    """Of the thread that writes the ring; `pipelined` alone."""
    rest: Core = _ENGINE.cores.rest
    """Of the thread that fetches snapshots."""


class EngineSection(_Section):
    """Threads and queues."""

    topology: Annotated[Literal["auto", "pipelined", "fused"], TOPOLOGY] = TOPOLOGY.to_yaml(_ENGINE.topology)
    """A thread for each stage, or all of them on one; auto looks at the cores there are."""
    idle: Annotated[Literal["auto", "spin", "yield", "park"], IDLE_MODE] = IDLE_MODE.to_yaml(_ENGINE.idle)
    """How a thread waits that has nothing to do; auto spins only where every thread has a core."""
    cores: CoresSection = CoresSection()
    managers: Annotated[int, Field(ge=1, le=64)] = _ENGINE.managers
    """Threads that keep books, the symbols shared out among them; `pipelined` alone."""
    book_depth: Annotated[int, Field(ge=0)] = _ENGINE.book_depth
    """Levels kept a side, 0 for all that are known; at least twice `segment.levels`. A side is cut when it
    has grown a quarter beyond."""
    self_audit: bool = _ENGINE.self_audit
    """Compare each book's top with the venue's own best bid and ask (channel `quote`) at every update id the
    two share; where they differ the book is synced anew."""
    book_checksum: bool = _ENGINE.book_checksum
    """Put a checksum of the book after it into every delta and whole book, by which readers can
    prove theirs."""
    refresh_every: Annotated[int, Field(ge=0, le=75)] = _ENGINE.refresh_every
    """Each LIVE book goes into the ring again as a whole once in so many percent of the ring, for readers
    that join late; 0: never, and they know the best `segment.levels` a side alone."""
    refresh_share: Annotated[int, Field(ge=1, le=50)] = _ENGINE.refresh_share
    """Percent of what goes into the ring that whole books may be at most. Where that is too little for all of
    them within three quarters of the ring, a warning (`books.ring_too_small`) names the ring that is
    wanted."""
    top_snapshot_ms: Annotated[int, Field(ge=0, le=86_400_000)] = _ENGINE.top_snapshot_ms
    """How often the best `segment.levels` a side also go into the ring (BookSnapshot flagged Top), with the
    first update so long after the last one; 0: never. For readers that want no more than the top."""
    frames: Annotated[int, Field(ge=8, le=1 << 20)] = _ENGINE.frames
    """Raw frame buffers of one line."""
    frame_size: ByteSize = ByteSize(_ENGINE.frame_size)
    """What a buffer starts with; larger frames get a larger one."""
    message_slots: Annotated[int, Field(ge=8, le=1 << 20)] = _ENGINE.message_slots
    """Of each queue from a parser to a book manager."""
    event_slots: Annotated[int, Field(ge=8, le=1 << 20)] = _ENGINE.event_slots
    """Of the queue to the publisher."""


class LogSection(_Section):
    """Where log lines go."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    file: str = ""
    """Appended to; empty: standard error."""


class MetricsSection(_Section):
    """Prometheus metrics over HTTP."""

    host: str = "127.0.0.1"
    """Address to listen at. There is no access control: keep it one that only you can reach."""
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """0 takes any free port, which the log names; absent: no metrics are served."""


class TlsSection(_Section):
    """How a connection proves it talks to the venue."""

    ca_file: str = _VENUE.tls.ca_file
    """PEM file to trust instead of the system's authorities."""
    server_name: str = _VENUE.tls.server_name
    """Name the certificate must bear; empty: the host of the URL."""
    insecure_skip_verify: bool = _VENUE.tls.insecure_skip_verify
    """Accept any certificate. Loopback addresses only, and logged at every start."""


class SocketSection(_Section):
    """What is asked of the kernel for the connections; what it refuses is logged, and done without."""

    tcp_nodelay: bool = _VENUE.socket.tcp_nodelay
    """Send at once."""
    receive_buffer: ByteSize = ByteSize(_VENUE.socket.receive_buffer)
    """SO_RCVBUF, such as 4MiB, at most 1GiB; 0: the kernel's own sizing."""
    busy_poll_us: Annotated[int, Field(ge=0, le=1_000_000)] = _VENUE.socket.busy_poll_us
    """SO_BUSY_POLL: how long a read looks at the network card itself; 0: off. May need CAP_NET_ADMIN."""

    @field_validator("receive_buffer")
    @classmethod
    def _fits_an_int(cls, value: ByteSize) -> ByteSize:
        if not 0 <= value <= 1 << 30:
            raise ValueError("must be 0 to 1GiB")
        return value


class BackoffSection(_Section):
    """Waits between attempts to connect: exponential, capped, with jitter; they never end."""

    initial_ms: Annotated[int, Field(ge=1)] = _VENUE.backoff.initial_ms
    """The first step."""
    max_ms: Annotated[int, Field(ge=1)] = _VENUE.backoff.max_ms
    """The longest step."""
    multiplier: Annotated[float, Field(ge=1.0, le=10.0)] = _VENUE.backoff.multiplier
    """From one step to the next."""
    jitter: Annotated[float, Field(ge=0.0, le=1.0)] = _VENUE.backoff.jitter
    """1: anywhere from zero to the step; 0.5: the upper half of it; 0: none."""
    stable_after_ms: Annotated[int, Field(ge=0)] = _VENUE.backoff.stable_after_ms
    """A line that was up this long starts over from `initial_ms`."""


class VenueSection(_Section):
    """One venue and the symbols to publish."""

    name: str
    """As in canonical symbols: `binance` of binance:BTC-USDT. An unknown one is told all that there are."""
    symbols: Annotated[list[SymbolName], Field(min_length=1), NOT_NATIVE]
    """As the venue spells them: BTCUSDT. At most 48 bytes each."""
    channels: Annotated[list[ChannelName], Field(min_length=1), CHANNELS] = CHANNELS.to_yaml(_VENUE.channels)
    """What is asked of the venue. Without `depth` there are no books."""
    lines: Annotated[int, Field(ge=1, le=4)] = _VENUE.lines
    """Connections that carry each symbol. The first copy of each update counts; losing one loses nothing."""
    depth_interval_ms: Annotated[int, Field(ge=0)] | None = _VENUE.depth_interval_ms
    """Between two depth updates, as the venue offers it; left out: its fastest documented. What
    it offers stands in its README, and in the error for anything else."""
    microsecond_times: bool = _VENUE.microsecond_times
    """Ask the venue for times in microseconds, where it offers them."""
    ws_url: str = _VENUE.ws_url
    """wss://host:port; empty: the venue's own."""
    rest_url: str = _VENUE.rest_url
    """https://host[:port]; empty: the venue's own."""
    proxy: Annotated[SecretStr, SECRET] = SECRET.to_yaml(_VENUE.proxy)
    """http://[user:password@]host:port, for WebSocket and REST; TLS runs through it to the venue."""
    socket: SocketSection = SocketSection()
    tls: TlsSection = TlsSection()
    backoff: BackoffSection = BackoffSection()
    snapshot_depth: Annotated[int, Field(ge=2)] = _VENUE.snapshot_depth
    """Levels a side of a REST snapshot; at least twice `segment.levels`, at most what the venue offers. A
    book is known so deep and no deeper. Before the market has eaten what it knows, another snapshot is
    fetched beside it: the fewer levels, the more often."""
    connect_timeout_ms: Annotated[int, Field(ge=1)] = _VENUE.connect_timeout_ms
    """Of each step: resolve, connect (an address), proxy, TLS handshake, WebSocket upgrade."""
    subscribe_timeout_ms: Annotated[int, Field(ge=1)] = _VENUE.subscribe_timeout_ms
    """A request that the venue does not answer for this long is asked for in smaller ones; if a single stream
    has no answer either, the connection is made anew."""
    max_connection_age_s: Annotated[int, Field(ge=0)] = _VENUE.max_connection_age_s
    """A connection is replaced some percent before it is this old; 0: the venue's own limit."""
    overlap_ms: Annotated[int, Field(ge=0)] = _VENUE.overlap_ms
    """How long the old and the new connection both carry everything when one is replaced."""
    idle_timeout_ms: Annotated[int, Field(ge=1)] = _VENUE.idle_timeout_ms
    """A line without a byte, pings included, for this long is dead."""
    rest_timeout_ms: Annotated[int, Field(ge=1)] = _VENUE.rest_timeout_ms
    """Of a whole REST request, connecting included."""
    rest_audit_s: Annotated[int, Field(ge=0, le=86_400)] = _VENUE.rest_audit_s
    """Between two audits, each of one LIVE book of the venue in its turn: it is compared, level by level,
    with a snapshot fetched for it, and synced anew where they differ. 0: only those of which other streams
    say that they may be wrong, for each costs request weight. Never delays a sync, and leaves half of the
    weight unspent. More than 0 is refused where the venue sends its snapshots in the stream."""
    quiet_sync_ms: Annotated[int, Field(ge=0), NOT_NATIVE] = 2_000
    """A symbol without a delta for this long after its line came up is synced from the snapshot alone."""
    retry_missing_ms: Annotated[int, Field(ge=1), NOT_NATIVE] = 30_000
    """The first wait before what is configured and cannot be had (a symbol the venue does not list, a stream
    it refuses, the venue itself with these settings) is tried again; every next wait is twice as long, up to
    ten minutes. Asking for the list of instruments costs request weight."""

    def native(self) -> _core.VenueConfig:
        """Return what the engine is told of the venue: all but the keys that control alone reads."""
        return fill(_core.VenueConfig(), self)

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        known = _core.venue_names()
        if value not in known:
            raise ValueError(f"unknown venue; allowed: {', '.join(known)}")
        return value

    @field_validator("snapshot_depth")
    @classmethod
    def _offered(cls, value: int, info: ValidationInfo) -> int:
        venue = info.data.get("name")
        most = _core.max_snapshot_depth(venue) if venue else value
        if value > most:
            raise ValueError(f"must with {venue} be less than or equal to {most}")
        return value

    @field_validator("ws_url", "rest_url", "proxy")
    @classmethod
    def _usable_url(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text:
            try:
                _core.check_url(info.field_name or "", _utf8(text))
            except ConfigError as error:
                raise ValueError(str(error).removeprefix(f"{info.field_name}: ")) from None
        return value

    @field_validator("symbols", "channels")
    @classmethod
    def _no_duplicates(cls, value: list[str]) -> list[str]:
        twice = sorted({item for item in value if value.count(item) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return value


class Config(_Section):
    """A whole configuration file."""

    segment: SegmentSection = SegmentSection()
    engine: EngineSection = EngineSection()
    log: LogSection = LogSection()
    metrics: MetricsSection = MetricsSection()
    venues: Annotated[list[VenueSection], Field(min_length=1)]
    strict: bool = False
    """Whether the start fails where a venue cannot be used as configured or does not list a symbol, and waits
    for venues that cannot be reached; nothing is published before. Otherwise that is logged and tried again,
    and all else runs."""

    _origin: Origin | None = None

    @model_validator(mode="after")
    def _room(self) -> Config:
        count = sum(len(venue.symbols) for venue in self.venues)
        if count > self.segment.instruments:
            raise ValueError(
                f"segment.instruments is {self.segment.instruments}, but {count} symbols are named"
            )
        names = [venue.name for venue in self.venues]
        if len(set(names)) != len(names):
            raise ValueError("venues: a venue is named twice; give all its symbols in one entry")
        return self

    def native(self) -> _core.EngineConfig:
        """Return what the engine is made from."""
        native = fill(_core.EngineConfig(), self.engine)
        fill(native.segment, self.segment)
        return native

    def where(self, *path: str | int) -> str:
        """Return ``file:line: key: `` for an error about the value at `path`, or the key alone."""
        return self._origin.where(path) if self._origin else f"{dotted(path)}: "


def load_config(file: str | Path) -> Config:
    """Read and check a configuration file.

    Parameters
    ----------
    file
        Path of a YAML file.

    Raises
    ------
    ConfigError
        The file cannot be read, is not YAML, or has a key or value that is not allowed.
    """
    name = str(file)
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 text (byte {error.start})") from error
    return parse_config(text, name)


def parse_config(text: str, file: str = "<config>") -> Config:
    """Check the text of a configuration; `file` is the name errors show. Raises `ConfigError`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{file}: nested too deep to be a configuration") from error
    if root is None or not isinstance(data, dict):
        raise ConfigError(f"{file}: wanted a mapping with the key venues, found {type(data).__name__}")
    try:
        origin = Origin(file, root)
    except RecursionError as error:
        raise ConfigError(f"{file}: an anchor that holds itself is no configuration") from error
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(details, origin) for details in error.errors())) from error
    object.__setattr__(config, "_origin", origin)
    _check_depths(config)
    return config


def _check_depths(config: Config) -> None:
    """Refuse depths with which no book could stay LIVE.

    A LIVE book knows every level that is published. With no more than those it would be out of them at the
    first level that goes, and wait for a snapshot all the time.
    """
    least = 2 * config.segment.levels
    needed = f"at least {least}, twice segment.levels ({config.segment.levels})"
    with_books = [index for index, venue in enumerate(config.venues) if "depth" in venue.channels]
    problems = [
        f"{config.where('venues', index, 'snapshot_depth')}must be {needed} "
        f"(found {config.venues[index].snapshot_depth})"
        for index in with_books
        if config.venues[index].snapshot_depth < least
    ]
    if with_books and 0 < config.engine.book_depth < least:
        where = config.where("engine", "book_depth")
        problems.append(f"{where}must be 0 or {needed} (found {config.engine.book_depth})")
    if problems:
        raise ConfigError("\n".join(problems))


def _explain(details: ErrorDetails, origin: Origin) -> str:
    path = details["loc"]
    where = origin.where(path)
    if details["type"] == "extra_forbidden":
        allowed = _keys_at(path[:-1])
        close = difflib.get_close_matches(str(path[-1]), allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        return f"{where}unknown key{hint} Allowed: {', '.join(allowed)}"
    if details["type"] == "missing":
        return f"{where}missing; it must be given"
    message = details["msg"].removeprefix("Value error, ")
    found = "" if path == () else f" (found {_shown(details['input'])!r})"
    if message[1:2].islower():  # a sentence, not an abbreviation
        message = message[:1].lower() + message[1:]
    return f"{where}{message}{found}"


def _utf8(text: str) -> str:
    """Return a text that C++ can be given: YAML's escapes may name half of a surrogate pair."""
    return text.encode(errors="replace").decode()


def _shown(value: object) -> object:
    """Return what was found as a message may show it: credentials are not for logs, wherever they stand."""
    if isinstance(value, str):
        return _core.without_user_info(_utf8(value))
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {_shown(key): _shown(item) for key, item in value.items()}
    return value


def _keys_at(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys the schema allows in the section at `path`."""
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int):
            continue
        annotation: Any = section.model_fields[part].annotation
        arguments = getattr(annotation, "__args__", ())
        section = arguments[0] if arguments else annotation
    return list(section.model_fields)
