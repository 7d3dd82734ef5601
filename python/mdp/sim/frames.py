"""Frames: the text of an event in the forms a client may choose, and its WebSocket encoding.

A frame is rendered once however many clients want it: server-to-client WebSocket frames are not masked, so
even the encoded bytes are the same for every client of the same framing and time unit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from mdp.sim.market import Levels, Top

OP_TEXT = 0x1
OP_PING = 0x9
OP_PONG = 0xA


def encode_ws(payload: bytes, opcode: int = OP_TEXT) -> bytes:
    """Return `payload` as one unfragmented, unmasked WebSocket frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def wrap_combined(stream: str, data: str) -> str:
    """Return the combined form of a raw event."""
    return f'{{"stream":"{stream}","data":{data}}}'


class Frame:
    """One event of one stream, rendered lazily in the four forms a client may have chosen.

    Parameters
    ----------
    stream : str
        Stream name as in the combined form.
    parts : tuple of str
        Text of the raw event, cut where a timestamp goes.
    times_us : tuple of int
        The timestamps, microseconds since the epoch; one less than there are parts.
    """

    __slots__ = ("_encoded", "_parts", "_times_us", "stream")

    def __init__(self, stream: str, parts: tuple[str, ...], times_us: tuple[int, ...] = ()) -> None:
        self.stream = stream
        self._parts = parts
        self._times_us = times_us
        self._encoded: dict[tuple[bool, bool], bytes] = {}

    @classmethod
    def array(cls, stream: str, events: list[Frame]) -> Frame:
        """Return a frame whose event is the array of the events of `events`, at least one."""
        parts = ["["]
        for event in events:
            head, *rest = event._parts
            parts[-1] += ("" if parts == ["["] else ",") + head
            parts += rest
        parts[-1] += "]"
        return cls(stream, tuple(parts), tuple(time_us for event in events for time_us in event._times_us))

    def text(self, combined: bool, micro: bool) -> str:
        """Return the frame's JSON text."""
        divisor = 1 if micro else 1000
        out = [self._parts[0]]
        for time_us, part in zip(self._times_us, self._parts[1:], strict=True):
            out.append(str(time_us // divisor))
            out.append(part)
        data = "".join(out)
        return wrap_combined(self.stream, data) if combined else data

    def encoded(self, combined: bool, micro: bool) -> bytes:
        """Return the frame as WebSocket bytes; the same object for every caller."""
        key = (combined, micro)
        found = self._encoded.get(key)
        if found is None:
            found = self._encoded[key] = encode_ws(self.text(combined, micro).encode())
        return found


class DepthFrame(Frame):
    """A depth frame that can also be rendered with a wrong level.

    Parameters
    ----------
    stream : str
        Stream name.
    render : callable
        Makes the parts of the text from bids and asks.
    bids, asks : Levels
        Best first.
    times_us : tuple of int
        The timestamps.
    top : Top
        The best levels after it.
    """

    __slots__ = ("_asks", "_bids", "_render", "_top")

    def __init__(
        self,
        stream: str,
        render: Callable[[Levels, Levels], tuple[str, ...]],
        bids: Levels,
        asks: Levels,
        times_us: tuple[int, ...],
        top: Top,
    ) -> None:
        super().__init__(stream, render(bids, asks), times_us)
        self._render = render
        self._bids = bids
        self._asks = asks
        self._top = top

    def lie(self, crossed: bool) -> Frame:
        """Return the frame with a wrong bid: at the best ask, or one lot too many at the best bid."""
        top = self._top
        price = top.ask_ticks if crossed else top.bid_ticks
        kept = (level for level in self._bids if level[0] != price)
        bids = sorted([*kept, (price, top.bid_lots + 1)], reverse=True)
        return Frame(self.stream, self._render(bids, self._asks), self._times_us)
