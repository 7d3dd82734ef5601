"""Recorded sessions: JSON lines of raw frames and REST answers, one file per connection.

A line is ``{"t": 1617566591.326123, "kind": "ws-in", "data": "..."}``. ``t`` is the receive time in
seconds since the epoch; ``kind`` is ``ws-in``, ``ws-out`` or ``http``; ``url`` stands on every ``http`` line
and on the first line of a new connection; ``"enc": "b64"`` marks a binary frame. Files may be plain, ``.gz``
or ``.zst``.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import heapq
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mdp.errors import MdpError

_NS = 10**9
_CHUNK = 1 << 16
_SUFFIX = re.compile(r"(\.jsonl)?(\.gz|\.zst)?$")
_PART = re.compile(r"\.part\d+$")


class Record(NamedTuple):
    """One line of a recording.

    Attributes
    ----------
    recv_ts_ns : int
        Receive time, exact.
    connection : str
        What names the connection: the file, without the part it is. Means nothing for REST answers.
    kind : str
        ``ws-in``, ``ws-out`` or ``http``.
    url : str or None
        Of a REST answer, or where a new connection begins.
    data : bytes
        The message as it was received.
    binary : bool
        Whether it was a binary frame.
    """

    recv_ts_ns: int
    connection: str
    kind: str
    url: str | None
    data: bytes
    binary: bool


def connection_name(path: Path) -> str:
    """Return what the parts of one connection's file have in common."""
    return _PART.sub("", _SUFFIX.sub("", str(path)))


def to_ns(seconds: str | int) -> int:
    """Return seconds since the epoch, as written, in nanoseconds; digits below are cut."""
    whole, _, fraction = str(seconds).partition(".")
    if whole.isdigit() and (fraction.isdigit() or not fraction):
        return int(whole) * _NS + int(fraction[:9].ljust(9, "0"))
    return int(Decimal(seconds) * _NS)


class Recording:
    """The files of one session, read as often as needed.

    Parameters
    ----------
    paths : sequence of Path
        In any order: they are merged by receive time.

    Raises
    ------
    MdpError
        If a file is not there, twice there, or needs a package that is not.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = sorted(paths)
        for path in self.paths:
            if not path.is_file():
                raise MdpError(f"no recording {path}: expected a file of JSON lines, plain, .gz or .zst")
            if path.suffix == ".zst":
                _zstd()
        if len(set(self.paths)) != len(self.paths):
            raise MdpError("a file of the recording is named twice")

    @property
    def size_bytes(self) -> int:
        """Size of the files."""
        return sum(path.stat().st_size for path in self.paths)

    def records(self) -> Iterator[Record]:
        """Return every record in order of receive time; those of one time in order of the file names.

        Raises
        ------
        MdpError
            If a line is no record, or a compressed file is cut short.
        """
        return self._merged("")

    def rest_answers(self) -> Iterator[Record]:
        """Return the REST answers alone, in the same order; much faster than `records`."""
        return (record for record in self._merged('"http"') if record.kind == "http")

    def _merged(self, having: str) -> Iterator[Record]:
        files = [self._records_of(path, having) for path in self.paths]
        return heapq.merge(*files, key=_time) if len(files) > 1 else iter(files[0] if files else ())

    def _records_of(self, path: Path, having: str) -> Iterator[Record]:
        connection = connection_name(path)
        decode = json.JSONDecoder(parse_float=str).decode
        for number, text in _lines_of(path):
            if having not in text:  # quotes inside a message are escaped: it can't be in there
                continue
            try:
                item = decode(text)
                yield _record(item, connection)
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise MdpError(f"{path}:{number}: not a record of a recording: {error!r}") from None


def _time(record: Record) -> int:
    return record.recv_ts_ns


def _record(item: dict[str, Any], connection: str) -> Record:
    kind, text, binary = item["kind"], item["data"], "enc" in item
    if binary and item["enc"] != "b64":
        raise ValueError(f"unknown encoding {item['enc']!r}")
    data = base64.b64decode(text, validate=True) if binary else text.encode()
    return Record(to_ns(item["t"]), connection, kind, item.get("url"), data, binary)


def _lines_of(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with _open(path) as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield number, text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise MdpError(f"cannot read {path}: {error}") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise MdpError(f"cannot read {path}: {error}") from None


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Iterable[str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield file
    elif path.suffix == ".zst":
        with path.open("rb") as compressed:
            yield io.TextIOWrapper(io.BufferedReader(_ZstdStream(compressed)), encoding="utf-8")
    else:
        with path.open(encoding="utf-8") as file:
            yield file


class _ZstdStream(io.RawIOBase):
    """Plain bytes of a zstd file; one that is cut short is an error, which the package's reader lets pass."""

    def __init__(self, compressed: BinaryIO) -> None:
        self._compressed = compressed
        self._frame = _zstd().ZstdDecompressor().decompressobj()
        self._plain = b""
        self._began = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain:
            left = self._frame.unused_data if self._frame.eof else b""
            data = left or self._compressed.read(_CHUNK)
            if not data:
                if self._began and not self._frame.eof:
                    raise EOFError("the compressed file ends early")
                return 0
            if self._frame.eof:
                self._frame = _zstd().ZstdDecompressor().decompressobj()
            self._began = True
            self._plain = self._frame.decompress(data)
        count = min(len(buffer), len(self._plain))
        buffer[:count], self._plain = self._plain[:count], self._plain[count:]
        return count


def _zstd() -> Any:
    try:
        import zstandard
    except ImportError:
        raise MdpError(
            ".zst recordings need the package zstandard, which is not installed: "
            "pip install zstandard, or give the files as .gz or plain"
        ) from None
    return zstandard
