"""What an instrument of the synthetic market is: name, steps, and the numbers that give a book its shape."""

from __future__ import annotations

from dataclasses import dataclass

E8 = 100_000_000
PERPETUAL_DELIVERY_MS = 4_133_404_800_000
"""What the venue gives as delivery date of a contract that has none."""


def text_e8(value: int) -> str:
    """Format a count of 1e-8 units as the spot venue does: always eight decimals."""
    return f"{value // E8}.{value % E8:08d}"


def decimal_text(value_e8: int, decimals: int) -> str:
    """Format a count of 1e-8 units with `decimals` decimals; none means no point either."""
    if not decimals:
        return str(value_e8 // E8)
    scale = 10**decimals
    scaled = value_e8 // (E8 // scale)
    return f"{scaled // scale}.{scaled % scale:0{decimals}d}"


@dataclass(frozen=True)
class Instrument:
    """One symbol.

    Attributes
    ----------
    symbol, base, quote : str
        Venue symbol and its two assets.
    tick_e8, lot_e8 : int
        Price tick and quantity step in units of 1e-8.
    start_ticks : int
        First best bid, in ticks.
    spacing_ticks : int
        Typical distance of neighbouring levels near the top.
    typical_lots : int
        Mean quantity of a level.
    levels : int
        Levels a side the book hovers around.
    price_decimals, quantity_decimals : int
        How many the venue writes: eight on spot, the contract's own number on futures.
    pair : str
        Underlying of a futures contract; empty on spot.
    contract_type : str
        ``PERPETUAL``, ``CURRENT_QUARTER`` or, on spot, empty.
    delivery_ms : int
        When a futures contract ends, ms since the epoch.
    contract_size : int
        Quote currency in one COIN-M contract; 0 where quantities are in the base asset.
    """

    symbol: str
    base: str
    quote: str
    tick_e8: int
    lot_e8: int
    start_ticks: int
    spacing_ticks: int
    typical_lots: int
    levels: int
    price_decimals: int = 8
    quantity_decimals: int = 8
    pair: str = ""
    contract_type: str = ""
    delivery_ms: int = PERPETUAL_DELIVERY_MS
    contract_size: int = 0

    def price_text(self, ticks: int) -> str:
        """Return a price as the venue writes it."""
        if self.price_decimals == 8:
            return text_e8(ticks * self.tick_e8)
        return decimal_text(ticks * self.tick_e8, self.price_decimals)

    def quantity_text(self, lots: int) -> str:
        """Return a quantity as the venue writes it."""
        if self.quantity_decimals == 8:
            return text_e8(lots * self.lot_e8)
        return decimal_text(lots * self.lot_e8, self.quantity_decimals)
