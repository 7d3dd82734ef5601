"""How what is configured comes into the engine: venues, their lists of instruments, their symbols.

On the control thread alone. What cannot be had is told once and tried again
(`mdp.providing.wanted` says when), and nothing else waits for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mdp import _core, log
from mdp._core import Channel, ControlEvent, Instrument, InstrumentList
from mdp.configuring.config import Config, VenueSection
from mdp.errors import ConfigError, ConnectError, MdpError, SegmentError
from mdp.providing.snapshots import AuditScheduler, RestBudget, SnapshotScheduler
from mdp.providing.wanted import Wanted

Path = tuple[str | int, ...]


@dataclass
class Venue:
    """A venue as the engine has it."""

    section: VenueSection
    index: int
    scheduler: SnapshotScheduler
    audits: AuditScheduler
    list_weight: int
    """What its list of instruments takes of the budget."""
    listed: dict[str, Instrument] | None = None
    """By the venue's names, as it told them last; None before."""
    symbols: dict[str, int] = field(default_factory=dict)
    """What is subscribed to: symbol_id by the venue's name."""


@dataclass
class _Configured:
    """A venue as the configuration has it."""

    path: Path
    wanted: Wanted
    venue: Venue | None = None
    """None as long as it cannot be used as configured."""
    rejected: dict[str, tuple[int, Channel]] = field(default_factory=dict)
    """Streams that the venue refuses, by the names they have in `wanted`."""

    @property
    def name(self) -> str:
        return self.wanted.section.name


@contextmanager
def named(config: Config, path: Path) -> Iterator[None]:
    """Name file, line and key of `path` in a `ConfigError` or `SegmentError` of what is done inside."""
    try:
        yield
    except (ConfigError, SegmentError) as error:
        raise type(error)(config.where(*path) + str(error)) from error


class Joining:
    """Brings venues and symbols of a configuration into an engine.

    Parameters
    ----------
    config
        What is wanted.
    engine
        Where it shall run.
    joined
        Called with venue, symbol_id and instrument of every symbol that was added.
    """

    def __init__(
        self,
        config: Config,
        engine: _core.Engine,
        joined: Callable[[Venue, int, Instrument], None],
    ) -> None:
        self._config = config
        self._engine = engine
        self._joined = joined
        self._budgets: dict[tuple[str, str | None], RestBudget] = {}  # by pool and address
        self._configured = [
            _Configured(("venues", index), Wanted(section)) for index, section in enumerate(config.venues)
        ]
        self.strict = config.strict
        """Whether what a venue refuses or does not list is an error that `tend` raises."""

    # ---- what there is ----

    @property
    def venues(self) -> list[Venue]:
        """The venues that the engine has."""
        return [configured.venue for configured in self._configured if configured.venue is not None]

    @property
    def asked(self) -> bool:
        """Whether every venue was asked once: it listed its instruments, or it is known why it did not."""
        return all(configured.wanted.asked for configured in self._configured)

    def missing(self) -> dict[str, dict[str, str]]:
        """Return what is missing and why, by venue: see `Wanted.missing`."""
        return {configured.name: configured.wanted.missing for configured in self._configured}

    # ---- what is done ----

    def tend(self, now: float) -> None:
        """Try again what is missing and due at `now` (seconds, monotonic), and take in what was listed.

        Raises
        ------
        ConfigError, SegmentError
            With `strict`: what cannot be had.
        """
        for configured in self._configured:
            if not configured.wanted.due(now):
                continue
            venue = configured.venue or self._set_up(configured, now)
            if venue is not None and venue.scheduler.budget.affords(venue.list_weight, now):
                configured.wanted.begin()
                venue.scheduler.budget.spend(venue.list_weight, now)
                self._engine.request_instruments(venue.index)
        for answer in self._engine.take_instruments():
            for configured in self._configured:
                if configured.venue is not None and configured.venue.index == answer.venue:
                    self._on_list(configured, configured.venue, answer, now)

    def subscribe(self, venue: str, symbol: str) -> int:
        """Add one symbol more and return its symbol_id; errors as `Provider.subscribe` raises them."""
        for configured in self._configured:
            if configured.name == venue:
                symbol_id = self._add(configured, symbol, (venue,))
                configured.wanted.have(symbol)
                self._engine.subscribe_added()
                return symbol_id
        known = ", ".join(configured.name for configured in self._configured)
        raise ConfigError(f"no venue {venue!r} in this provider; it has: {known}")

    def reject(self, venue: Venue, symbol: str, event: ControlEvent, now: float) -> bool:
        """Note that the venue refuses a stream, to be asked for again; say whether this is news."""
        what = f"{symbol} {event.channel.name.lower()}"
        news = True
        for configured in self._configured:
            if configured.venue is venue:
                configured.rejected[what] = (event.symbol_id, event.channel)
                news = configured.wanted.refuse(
                    what, f"refused by the venue, code {event.code}: {event.text}"
                )
                configured.wanted.later(now)
        return news

    def _set_up(self, configured: _Configured, now: float) -> Venue | None:
        """Give the engine a venue; None where it cannot be used as configured."""
        wanted, section = configured.wanted, configured.wanted.section
        try:
            with named(self._config, configured.path):
                index = self._engine.add_venue(section.native())
        except MdpError as error:
            if self.strict:
                raise
            news = wanted.refuse_all(str(error))
            retry_s = wanted.answered(now)
            if news:
                _tell("venue.unusable", error, retry_s, venue=section.name)
            return None
        pool, weight_per_minute, weight, list_weight = self._engine.rest_limits(index)
        # Counted by address: the venue's own and a stand-in at another one have nothing to share.
        key = (pool, urlsplit(section.rest_url).hostname)
        budget = self._budgets.setdefault(key, RestBudget(weight_per_minute))
        scheduler = SnapshotScheduler(budget, weight, lost_after_s=2 * section.rest_timeout_ms / 1000 + 1)
        audits = AuditScheduler(scheduler, section.rest_audit_s)
        configured.venue = Venue(section, index, scheduler, audits, list_weight)
        return configured.venue

    def _on_list(self, configured: _Configured, venue: Venue, answer: InstrumentList, now: float) -> None:
        wanted, budget = configured.wanted, venue.scheduler.budget
        budget.learn(answer.used_weight, now)
        if answer.retry_after_s > 0:  # for whatever else is asked of the venues of the pool, too
            budget.pause(now + answer.retry_after_s)
        if answer.error:
            retry_s = wanted.unreachable(answer.error, now, answer.retry_after_s)
            log.warning(
                "venue.unreachable",
                venue=configured.name,
                attempt=wanted.attempts,
                retry_in_ms=round(retry_s * 1000),
                error=answer.error,
            )
            return
        told = log.debug if venue.listed is not None else log.info
        told("venue.instruments", venue=configured.name, count=len(answer.instruments))
        venue.listed = {instrument.venue_symbol: instrument for instrument in answer.instruments}
        refused = self._subscribe_missing(configured, venue)
        retry_s = wanted.answered(now)
        for symbol, error in refused.items():
            _tell("symbol.refused", error, retry_s, venue=configured.name, symbol=symbol)
        self._ask_again(configured, venue)

    def _subscribe_missing(self, configured: _Configured, venue: Venue) -> dict[str, MdpError]:
        """Subscribe to what is missing of a venue; return what is refused of it for a reason not yet told."""
        wanted = configured.wanted
        refused: dict[str, MdpError] = {}
        for symbol in wanted.symbols:
            place = wanted.section.symbols.index(symbol)
            try:
                if symbol not in venue.symbols:  # else somebody was sooner, by subscribe()
                    self._add(configured, symbol, (*configured.path, "symbols", place))
                wanted.have(symbol)
            except MdpError as error:
                if self.strict:
                    raise
                if wanted.refuse(symbol, str(error)):
                    refused[symbol] = error
        self._engine.subscribe_added()
        return refused

    def _ask_again(self, configured: _Configured, venue: Venue) -> None:
        """Ask once more for the streams that the venue has refused: it tells again if it still does."""
        rejected, configured.rejected = configured.rejected, {}
        for what, (symbol_id, channel) in rejected.items():
            configured.wanted.have(what)
            if symbol_id in venue.symbols.values():
                self._engine.subscribe_again(symbol_id, channel)

    def _add(self, configured: _Configured, name: str, path: Path) -> int:
        """Add a symbol to the engine; the caller lets it subscribe."""
        venue = configured.venue
        if venue is None or venue.listed is None:
            raise ConnectError(f"{configured.name} could not be reached yet; its symbols are not known")
        instrument = venue.listed.get(name)
        with named(self._config, path):
            if instrument is None:
                close = difflib.get_close_matches(name.upper(), venue.listed, n=3)
                hint = f"; did you mean {' or '.join(close)}?" if close else ""
                raise ConfigError(f"{configured.name} does not list {name!r}{hint}")
            symbol_id = self._engine.add_symbol(venue.index, instrument)
        venue.symbols[name] = symbol_id
        venue.audits.add(symbol_id)
        self._joined(venue, symbol_id, instrument)
        if not instrument.tradable:
            log.warning("symbol.not_trading", symbol=instrument.canonical_symbol, status=instrument.status)
            venue.scheduler.ask_rarely(symbol_id)
        return symbol_id


def _tell(event: str, error: MdpError, retry_s: float, **what: str) -> None:
    log.error(event, **what, error=error, retry_in_ms=round(retry_s * 1000))
