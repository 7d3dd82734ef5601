"""``mdp ls``: the segments of this machine, with what becomes of their publishers."""

from __future__ import annotations

import time

from mdp._core import Reader, segment_names
from mdp.commands.read import TrustedUid
from mdp.errors import SegmentError

_HEAD = ("SEGMENT", "PUBLISHER", "PID", "OWNER", "STARTED", "HEARTBEAT", "SYMBOLS", "EVENTS")


def ls(trusted_uid: TrustedUid = None) -> None:
    """List the segments of this machine: owner, publisher, when it started, its last sign of life."""
    rows, refused = [], []
    for name in (name for name in segment_names() if not name.startswith("sem.")):
        try:
            rows.append(_row(name, Reader(name, trusted_uid=trusted_uid)))
        except SegmentError as error:
            if "no magic" not in str(error):  # somebody else's file: none of ours
                refused.append(str(error))
    widths = [max(len(row[i]) for row in [_HEAD, *rows]) for i in range(len(_HEAD))]
    for row in [_HEAD, *rows] if rows else []:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for line in refused:
        print(line)
    if not rows and not refused:
        print("no segments: start a publisher with `mdp run` or `mdp demo`")


def _row(name: str, reader: Reader) -> tuple[str, ...]:
    started_s = max(0.0, time.time() - reader.start_ts_ns / 1e9)
    return (
        name,
        reader.publisher_status().name.lower(),
        str(reader.publisher_pid),
        _user(reader.owner_uid),
        _ago(started_s),
        _ago(reader.heartbeat_age_ns / 1e9),
        str(reader.instrument_count),
        str(reader.event_count),
    )


def _user(uid: int) -> str:
    try:
        import pwd  # not on Windows
    except ImportError:
        return "-"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _ago(seconds: float) -> str:
    if seconds > 1e9:  # no clock says so: it was never set, or is of another machine's start
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.1f} s ago"
