"""EventBatch: what one poll brought, as NumPy arrays, as typed objects, or as a table of another library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from mdp._core import FUNDING_RATE_EXPONENT, Batch, Event, InstrumentEntry, ReadStatus, format_decimal
from mdp.reading.dtypes import (
    BBO_DTYPE,
    BOOK_STATE_DTYPE,
    CONNECTION_STATUS_DTYPE,
    EVENT_DTYPE,
    LEVEL_DTYPE,
    LIQUIDATION_DTYPE,
    MARK_PRICE_DTYPE,
    TRADE_DTYPE,
)

Array = npt.NDArray[Any]
Numbers = Literal["mantissa", "float", "decimal"]
What = Literal["events", "levels", "bbo", "trades", "mark_prices", "liquidations"]

_PRICES = frozenset(
    {"price", "bid_price", "ask_price", "average_price", "mark_price", "index_price", "settle_price"}
)
_QUANTITIES = frozenset({"quantity", "bid_quantity", "ask_quantity", "filled_quantity"})
_RATES = frozenset({"funding_rate"})
_ROWS = {
    "bbo": "bbo_rows",
    "trades": "trade_rows",
    "mark_prices": "mark_price_rows",
    "liquidations": "liquidation_rows",
}
_KEYS = ("sequence", "symbol_id", "update_id", "exch_ts_ns", "recv_ts_ns", "pub_ts_ns")


class EventBatch(Sequence[Event]):
    """The events of one poll.

    A sequence of `Event` objects, each made when it is asked for; and the same events as structured arrays,
    which cost nothing per event. Arrays are read-only views of the batch's own memory: they stay valid as
    long as they are held, whatever is polled meanwhile.

    Attributes
    ----------
    status
        What ended the batch: OK (the maximum was reached), EMPTY, LAPPED, STOPPED or CORRUPT.
    """

    __slots__ = ("__dict__", "_batch", "_instrument", "_size", "status")

    def __init__(
        self, batch: Batch, status: ReadStatus, instrument: Callable[[int], InstrumentEntry]
    ) -> None:
        self._batch = batch
        self._instrument = instrument
        self._size = len(batch)
        self.status = status

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        if isinstance(index, slice):
            return [self._batch.event(row) for row in range(self._size)[index]]
        return self._batch.event(range(self._size)[index])

    def __iter__(self) -> Iterator[Event]:
        return map(self._batch.event, range(self._size))

    def __repr__(self) -> str:
        return f"<EventBatch of {self._size} events, {self.status.name}>"

    @cached_property
    def headers(self) -> Array:
        """One row an event: array of `EVENT_DTYPE`, shape (events,)."""
        return self._batch.headers.view(EVENT_DTYPE)

    @cached_property
    def levels(self) -> Array:
        """Levels of all deltas and snapshots, one behind the other: array of `LEVEL_DTYPE`.

        Those of event `i` are ``levels[level_offset[i] : level_offset[i + 1]]``: bid_count bids, then asks.
        """
        return self._batch.levels.view(LEVEL_DTYPE)

    @cached_property
    def level_offset(self) -> npt.NDArray[np.int64]:
        """Where the levels of each event begin: int64, shape (events + 1,)."""
        return self._batch.level_offset.view(np.int64)

    @cached_property
    def book_states(self) -> Array:
        """Bodies of the BOOK_STATE events: array of `BOOK_STATE_DTYPE`."""
        return self._batch.book_states.view(BOOK_STATE_DTYPE)

    @cached_property
    def book_state_rows(self) -> npt.NDArray[np.int64]:
        """Index into `headers` of each entry of `book_states`: int64."""
        return self._batch.book_state_rows.view(np.int64)

    @cached_property
    def bbo(self) -> Array:
        """Bodies of the BBO events: array of `BBO_DTYPE`; `bbo_rows` tells the event of each."""
        return self._batch.bbo.view(BBO_DTYPE)

    @cached_property
    def bbo_rows(self) -> npt.NDArray[np.int64]:
        """Index into `headers` of each entry of `bbo`: int64."""
        return self._batch.bbo_rows.view(np.int64)

    @cached_property
    def trades(self) -> Array:
        """Bodies of the TRADE events: array of `TRADE_DTYPE`; `trade_rows` tells the event of each."""
        return self._batch.trades.view(TRADE_DTYPE)

    @cached_property
    def trade_rows(self) -> npt.NDArray[np.int64]:
        """Index into `headers` of each entry of `trades`: int64."""
        return self._batch.trade_rows.view(np.int64)

    @cached_property
    def connection_statuses(self) -> Array:
        """Bodies of the CONNECTION_STATUS events: array of `CONNECTION_STATUS_DTYPE`."""
        return self._batch.connection_statuses.view(CONNECTION_STATUS_DTYPE)

    @cached_property
    def connection_status_rows(self) -> npt.NDArray[np.int64]:
        """Index into `headers` of each entry of `connection_statuses`: int64."""
        return self._batch.connection_status_rows.view(np.int64)

    @cached_property
    def mark_prices(self) -> Array:
        """Bodies of the MARK_PRICE events: array of `MARK_PRICE_DTYPE`."""
        return self._batch.mark_prices.view(MARK_PRICE_DTYPE)

    @cached_property
    def mark_price_rows(self) -> npt.NDArray[np.int64]:
        """Index into `headers` of each entry of `mark_prices`: int64."""
        return self._batch.mark_price_rows.view(np.int64)

    @cached_property
    def liquidations(self) -> Array:
        """Bodies of the LIQUIDATION events: array of `LIQUIDATION_DTYPE`."""
        return self._batch.liquidations.view(LIQUIDATION_DTYPE)

    @cached_property
    def liquidation_rows(self) -> npt.NDArray[np.int64]:
        """Index into `headers` of each entry of `liquidations`: int64."""
        return self._batch.liquidation_rows.view(np.int64)

    def columns(self, what: What, *, numbers: Numbers = "mantissa") -> dict[str, Array]:
        """Return one table of the batch as columns of equal length.

        Parameters
        ----------
        what
            ``"events"``: the headers. ``"levels"``: one row a level, with `is_bid`, of all deltas and
            snapshots. ``"bbo"``, ``"trades"``, ``"mark_prices"``, ``"liquidations"``: those events. All but
            the first carry sequence, symbol_id, update_id and the times of their event.
        numbers
            How prices and quantities are given: ``"mantissa"`` int64 (the default, costs nothing),
            ``"float"`` the nearest float64, ``"decimal"`` exact `decimal.Decimal` objects (slow).

        Raises
        ------
        SegmentError
            An instrument is no longer in the directory, so that its exponents are unknown.
        """
        if what not in get_args(What):
            allowed = ", ".join(f'"{name}"' for name in get_args(What))
            raise ValueError(f"what: {what!r} is none of {allowed}")
        if what == "events":
            return {name: self.headers[name] for name in EVENT_DTYPE.names or () if name != "size_lines"}
        if what == "levels":
            bodies = self.levels
            rows = np.repeat(np.arange(self._size), np.diff(self.level_offset))
        else:
            bodies, rows = getattr(self, what), getattr(self, _ROWS[what])
        headers = self.headers[rows]
        table: dict[str, Array] = {name: headers[name] for name in _KEYS}
        if what == "levels":
            # Bids come first in each event.
            nth = np.arange(len(rows)) - self.level_offset[rows]
            table["is_bid"] = nth < headers["bid_count"]
        for name in bodies.dtype.names or ():
            table[name] = self._numbers(name, bodies[name], headers["symbol_id"], numbers)
        return table

    def to_pandas(self, what: What = "events", *, numbers: Numbers = "mantissa") -> Any:
        """Return `columns` as a pandas.DataFrame. ImportError: pandas is not installed."""
        return _optional("pandas").DataFrame(self.columns(what, numbers=numbers))

    def to_polars(self, what: What = "events", *, numbers: Numbers = "mantissa") -> Any:
        """Return `columns` as a polars.DataFrame. ImportError: polars is not installed."""
        columns = self.columns(what, numbers=numbers)
        return _optional("polars").DataFrame({name: _flat(column) for name, column in columns.items()})

    def to_arrow(self, what: What = "events", *, numbers: Numbers = "mantissa") -> Any:
        """Return `columns` as a pyarrow.Table. ImportError: pyarrow is not installed."""
        columns = self.columns(what, numbers=numbers)
        return _optional("pyarrow").table({name: _flat(column) for name, column in columns.items()})

    def _numbers(self, name: str, values: Array, symbol_ids: Array, numbers: Numbers) -> Array:
        if numbers not in ("mantissa", "float", "decimal"):
            raise ValueError(f'numbers: {numbers!r} is none of "mantissa", "float", "decimal"')
        if numbers == "mantissa" or name not in _PRICES | _QUANTITIES | _RATES:
            return values
        if name in _RATES:
            exponents = np.full(len(values), FUNDING_RATE_EXPONENT, dtype=np.int64)
        else:
            ids, inverse = np.unique(symbol_ids, return_inverse=True)
            instruments = [self._instrument(int(symbol_id)) for symbol_id in ids]
            per_symbol = [i.price_exponent if name in _PRICES else i.quantity_exponent for i in instruments]
            exponents = np.array(per_symbol, dtype=np.int64)[inverse]
        if numbers == "float":
            # Divided, not multiplied by 10**-n: a power of ten is exact as a float, its inverse is not, and
            # so the result is the nearest float as long as the mantissa is below 2**53.
            scale = 10.0 ** np.abs(exponents)
            nearest: Array = np.where(exponents < 0, values / scale, values * scale)
            return nearest
        exact = np.empty(len(values), dtype=object)
        pairs = zip(values.tolist(), exponents.tolist(), strict=True)
        exact[:] = [Decimal(format_decimal(mantissa, exponent)) for mantissa, exponent in pairs]
        return exact


def _flat(column: Array) -> Any:
    """Return a column as the Arrow libraries take it: of one piece, objects as a list."""
    return column.tolist() if column.dtype == object else np.ascontiguousarray(column)


def _optional(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"this needs {name}, which mdp does not bring: pip install {name}") from error
