"""Recorded sessions of the venue: what their requests asked for, and what they show of instruments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from mdp.sim.frames import Frame
from mdp.sim.instruments import Instrument
from mdp.sim.wire.protocol import RestError

_DEPTH = re.compile(r"@depth(?:\d+)?(?:@.*)?$")
_COMBINED = '{"stream":"'
_QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BIDR", "EUR", "GBP", "TRY", "RUB", "BRL", "AUD", "UAH", "NGN",
    "DAI", "PAX", "BTC", "ETH", "BNB", "TRX", "XRP", "DOGE", "USD",
)  # fmt: skip


class RecordedFrame(Frame):
    """A frame of a recording: the combined text is sent exactly as it was received."""

    __slots__ = ("_text",)

    def __init__(self, stream: str, text: str) -> None:
        super().__init__(stream, ("",))
        self._text = text

    def text(self, combined: bool, micro: bool) -> str:
        """Return the recorded text, or the event in it. The time unit is the recorded one."""
        return self._text if combined else self._text[len(self.stream) + 20 : -1]


class Recordings:
    """See `mdp.sim.wire.protocol.Recordings`: the three families record alike."""

    def frame(self, text: str) -> Frame:
        """Return a recorded frame, which must be in the combined form."""
        if not text.startswith(_COMBINED):
            raise ValueError(f"not a combined frame: {text[:60]}")
        begin = len(_COMBINED)
        return RecordedFrame(text[begin : text.index('"', begin)], text)

    def depth_symbol(self, stream: str) -> str | None:
        """Return the symbol of a stream of depth batches or partial books."""
        return stream.partition("@")[0].upper() if _DEPTH.search(stream) else None

    def is_list(self, url: str) -> bool:
        """Return whether a request asked for exchangeInfo."""
        return urlsplit(url).path.endswith("/exchangeInfo")

    def snapshot_symbol(self, url: str) -> str | None:
        """Return the symbol whose depth a request asked for."""
        found = urlsplit(url)
        return parse_qs(found.query)["symbol"][0] if found.path.endswith("/depth") else None

    def seen_instruments(
        self, snapshots: Mapping[str, Sequence[str]], frames: Iterable[Frame]
    ) -> list[Instrument]:
        """Return what a session without exchangeInfo shows of its instruments."""
        digits = _digits_seen(snapshots, frames)
        return [_seen_instrument(symbol, digits[symbol]) for symbol in sorted(digits)]

    def listed(self, info: str) -> list[str]:
        """Return the symbols of an exchangeInfo."""
        return [entry["symbol"] for entry in json.loads(info)["symbols"]]

    def part_of_list(self, info: str, wanted: Sequence[str]) -> str:
        """Return an exchangeInfo with the wanted symbols alone."""
        listed = json.loads(info)
        listed["symbols"] = [entry for entry in listed["symbols"] if entry["symbol"] in set(wanted)]
        return json.dumps(listed, separators=(",", ":"), ensure_ascii=False)

    def cut(self, body: str, limit: int) -> str:
        """Return a snapshot with at most `limit` levels a side; untouched bytes if it has no more."""
        snapshot = json.loads(body)
        if len(snapshot["bids"]) <= limit and len(snapshot["asks"]) <= limit:
            return body
        snapshot["bids"] = snapshot["bids"][:limit]
        snapshot["asks"] = snapshot["asks"][:limit]
        return json.dumps(snapshot, separators=(",", ":"))

    def no_snapshot(self) -> RestError:
        """Return the error of a symbol of which no snapshot was recorded."""
        return RestError(400, -1112, "No orders on book for symbol.")

    def too_early(self) -> RestError:
        """Return the error of a snapshot that the recorded clock has not come to."""
        return RestError(
            504,
            -1007,
            "Timeout waiting for response from backend server. The recorded clock is not there.",
        )


def split_assets(symbol: str) -> tuple[str, str]:
    """Guess base and quote asset, for recordings without metadata; a provider must never do so."""
    symbol = symbol.partition("_")[0]  # what follows in a contract is its kind
    for quote in _QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return symbol, "USDT"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


def _digits_seen(
    snapshots: Mapping[str, Sequence[str]], frames: Iterable[Frame]
) -> dict[str, tuple[int, int]]:
    """Return per symbol the most decimals any price and any quantity of the session shows, zeros stripped."""
    seen: dict[str, list[int]] = {}

    def note(symbol: str, levels: list[list[str]]) -> None:
        digits = seen.setdefault(symbol, [0, 0])
        for price, quantity in levels:
            digits[0] = max(digits[0], _decimals(price))
            digits[1] = max(digits[1], _decimals(quantity))

    for symbol, bodies in snapshots.items():
        for body in bodies:
            snapshot = json.loads(body)
            note(symbol, snapshot["bids"] + snapshot["asks"])
    for frame in frames:
        data = json.loads(frame.text(combined=False, micro=False))
        if not isinstance(data, dict) or "s" not in data:
            continue
        if data.get("e") == "depthUpdate":
            note(data["s"], data["b"] + data["a"])
        elif "A" in data and "B" in data:
            note(data["s"], [[data["b"], data["B"]], [data["a"], data["A"]]])
        elif data.get("e") in ("trade", "aggTrade"):
            note(data["s"], [[data["p"], data["q"]]])
    return {symbol: (digits[0], digits[1]) for symbol, digits in seen.items()}


def _seen_instrument(symbol: str, digits: tuple[int, int]) -> Instrument:
    """Return what a recording shows of an instrument, without the numbers that shape a synthetic book."""
    base, quote = split_assets(symbol)
    tick_e8, lot_e8 = (10 ** max(0, 8 - count) for count in digits)
    pair, _, kind = symbol.partition("_")
    contract = "PERPETUAL" if kind in ("", "PERP") else "CURRENT_QUARTER"
    # COIN-M contracts are worth 100 USD of bitcoin and 10 USD of anything else.
    size = 100 if base == "BTC" else 10
    return Instrument(
        symbol,
        base,
        quote,
        tick_e8,
        lot_e8,
        0,
        0,
        0,
        0,
        *digits,
        pair=pair,
        contract_type=contract,
        contract_size=size,
    )
