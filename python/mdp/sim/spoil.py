"""What frame faults do to one frame of one client."""

from __future__ import annotations

import re
import struct

from mdp.sim.client import Client
from mdp.sim.faults import Fault
from mdp.sim.frames import OP_TEXT, DepthFrame, Frame, encode_ws
from mdp.sim.wire.protocol import Wire


def malform(text: str) -> str:
    """Return `text` with one structural comma turned into ';', as near to the middle as there is one."""
    middle = len(text) // 2
    at = text.find(",", middle)
    if at < 0:
        at = text.rfind(",", 0, middle)
    return f"{text[:at]};{text[at + 1 :]}" if at >= 0 else text[:-1] + ";"


def alter_digit(text: str, number: re.Pattern[str]) -> str:
    """Return `text` with the last non-zero digit of the first such number replaced by another.

    The number stays a multiple of its step, so that nothing but a wrong value gives it away.
    """
    found = number.search(text)
    if found is None:
        return text
    group = found.lastindex or 1
    at = found.start(group) + max(i for i, digit in enumerate(found[group]) if digit not in "0.")
    digit = "8" if text[at] == "9" else chr(ord(text[at]) + 1)
    return text[:at] + digit + text[at + 1 :]


def spoil(
    family: Wire, fault: Fault, frame: Frame, client: Client, out: list[bytes]
) -> tuple[list[bytes], bool]:
    """Return what is sent in place of `out`, and whether the connection ends with it."""
    kind = fault.kind
    if kind == "drop":
        return [], False
    if kind == "duplicate":
        return out + out, False
    if kind == "reorder":
        client.held[frame.stream] = out
        return [], False
    if kind == "lag":
        client.lagging.extend(out)
        late = max(0, len(client.lagging) - fault.params["frames"])
        return [client.lagging.popleft() for _ in range(late)], False
    if kind == "oversized_header":
        return [struct.pack("!BBQ", 0x80 | OP_TEXT, 127, fault.params["bytes"])], False
    if kind == "wrong_level":
        if not isinstance(frame, DepthFrame):
            return out, False
        lie = frame.lie(crossed=fault.params["mode"] == "crossed")
        return [lie.encoded(client.combined, client.micro)], False
    text = frame.text(client.combined, client.micro)
    mode = fault.params["mode"]
    if kind == "corrupt":
        text = malform(text) if mode == "json" else alter_digit(text, family.numbers[mode])
        return [encode_ws(text.encode())], False
    if mode == "frame":
        whole = encode_ws(text.encode())
        return [whole[: len(whole) * 2 // 3]], True
    return [encode_ws(text[: len(text) * 2 // 3].encode())], False
