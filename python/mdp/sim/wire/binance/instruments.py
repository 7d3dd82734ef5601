"""Instruments of the synthetic markets of each family: names, steps, and the numbers that shape a book."""

from __future__ import annotations

from dataclasses import replace

from mdp.sim.instruments import E8, Instrument

BUILT_IN: tuple[Instrument, ...] = (
    Instrument("BTCUSDT", "BTC", "USDT", 1_000_000, 1_000, 6_183_763, 40, 30_000, 1_400),
    Instrument("ETHUSDT", "ETH", "USDT", 1_000_000, 10_000, 265_432, 8, 20_000, 1_200),
    Instrument("BNBUSDT", "BNB", "USDT", 1_000_000, 100_000, 51_234, 5, 3_000, 900),
    Instrument("SOLUSDT", "SOL", "USDT", 1_000_000, 100_000, 15_432, 2, 40_000, 900),
    Instrument("XRPUSDT", "XRP", "USDT", 10_000, 100_000_000, 6_123, 1, 2_500, 800),
    Instrument("ADAUSDT", "ADA", "USDT", 10_000, 10_000_000, 4_512, 1, 30_000, 600),
    Instrument("DOGEUSDT", "DOGE", "USDT", 1_000, 100_000_000, 12_345, 2, 9_000, 1_000),
    Instrument("1000SATSUSDT", "1000SATS", "USDT", 10, 100_000_000, 2_835, 1, 400_000, 500),
    Instrument("LTCUSDT", "LTC", "USDT", 1_000_000, 100_000, 6_789, 1, 8_000, 500),
    Instrument("LINKUSDT", "LINK", "USDT", 100_000, 1_000_000, 11_231, 2, 9_000, 700),
    Instrument("DOTUSDT", "DOT", "USDT", 100_000, 1_000_000, 43_495, 6, 9_000, 700),
    Instrument("AVAXUSDT", "AVAX", "USDT", 1_000_000, 1_000_000, 2_345, 1, 6_000, 400),
    Instrument("TRXUSDT", "TRX", "USDT", 10_000, 10_000_000, 1_301, 1, 60_000, 300),
    Instrument("ETHBTC", "ETH", "BTC", 1_000, 10_000, 4_292, 1, 15_000, 600),
    Instrument("SOLBTC", "SOL", "BTC", 100, 1_000_000, 24_956, 3, 900, 500),
    Instrument("BTCEUR", "BTC", "EUR", 1_000_000, 1_000, 5_662_310, 60, 20_000, 800),
)
"""Spot symbols that exist without configuration, most liquid first."""

_QUARTER_MS = 1_798_185_600_000  # 2026-12-25 08:00 UTC


def _usdm(
    base: str,
    tick_e8: int,
    lot_e8: int,
    start: int,
    spacing: int,
    lots: int,
    levels: int,
    decimals: tuple[int, int],
) -> Instrument:
    symbol = f"{base}USDT"
    return Instrument(
        symbol, base, "USDT", tick_e8, lot_e8, start, spacing, lots, levels, *decimals, symbol, "PERPETUAL"
    )


def _coinm(
    base: str, tick_e8: int, start: int, spacing: int, lots: int, levels: int, decimals: int, size: int
) -> Instrument:
    pair = f"{base}USD"
    return Instrument(
        f"{pair}_PERP",
        base,
        "USD",
        tick_e8,
        E8,
        start,
        spacing,
        lots,
        levels,
        decimals,
        0,
        pair,
        "PERPETUAL",
        contract_size=size,
    )


def _quarterly(perpetual: Instrument) -> Instrument:
    return replace(
        perpetual,
        symbol=f"{perpetual.pair}_261225",
        contract_type="CURRENT_QUARTER",
        delivery_ms=_QUARTER_MS,
        start_ticks=perpetual.start_ticks * 101 // 100,
        typical_lots=max(1, perpetual.typical_lots // 4),
        levels=perpetual.levels // 2,
    )


USDM: tuple[Instrument, ...] = (
    _usdm("BTC", 10_000_000, 100_000, 618_002, 6, 300, 1_300, (2, 3)),
    _usdm("ETH", 1_000_000, 100_000, 265_421, 8, 3_000, 1_200, (2, 3)),
    _usdm("BNB", 1_000_000, 1_000_000, 51_230, 5, 300, 900, (3, 2)),
    _usdm("SOL", 1_000_000, 100_000_000, 15_431, 2, 40, 900, (4, 0)),
    _usdm("XRP", 10_000, 10_000_000, 6_122, 1, 25_000, 800, (4, 1)),
    _usdm("DOGE", 1_000, 100_000_000, 12_344, 2, 9_000, 1_000, (6, 0)),
    _usdm("1000SATS", 10, 100_000_000, 28_347, 4, 400_000, 500, (7, 0)),
    _usdm("LTC", 1_000_000, 100_000, 6_788, 1, 8_000, 500, (2, 3)),
)
"""USD-M contracts, most liquid first; the dated one comes with `FAMILY_INSTRUMENTS`."""

COINM: tuple[Instrument, ...] = (
    _coinm("BTC", 10_000_000, 618_047, 6, 300, 900, 1, 100),
    _coinm("ETH", 1_000_000, 265_440, 8, 900, 900, 2, 10),
    _coinm("BNB", 1_000_000, 51_236, 5, 200, 600, 2, 10),
    _coinm("SOL", 1_000_000, 15_435, 2, 300, 600, 3, 10),
    _coinm("XRP", 10_000, 6_125, 1, 400, 500, 4, 10),
)
"""COIN-M contracts."""

FAMILY_INSTRUMENTS: dict[str, tuple[Instrument, ...]] = {
    "binance": BUILT_IN,
    "binance-usdm": (*USDM[:4], _quarterly(USDM[0]), *USDM[4:]),
    "binance-coinm": (*COINM[:2], _quarterly(COINM[0]), *COINM[2:]),
}
"""Built-in instruments per family."""


def _made_up(family: str, index: int) -> Instrument:
    base = f"T{index:03d}"
    if family == "binance-usdm":
        return _usdm(base, 10_000, 1_000_000, 20_000, 3, 9_000, 400, (4, 2))
    if family == "binance-coinm":
        return _coinm(base, 10_000, 20_000, 3, 500, 400, 4, 10)
    return Instrument(f"{base}USDT", base, "USDT", 10_000, 1_000_000, 20_000, 3, 9_000, 400)


def select_instruments(wanted: list[str] | int | None = None, family: str = "binance") -> list[Instrument]:
    """Choose instruments of a family by name or number.

    Parameters
    ----------
    wanted : list of str, int or None
        Symbols (upper case), or how many; a number beyond the built-in ones adds made-up symbols
        (``T016USDT``, ...) for load runs. None takes the first eight.
    family : str
        Key of `FAMILY_INSTRUMENTS`.

    Raises
    ------
    ValueError
        If a symbol is unknown or the number is not positive.
    """
    built_in = FAMILY_INSTRUMENTS[family]
    if wanted is None:
        wanted = min(8, len(built_in))
    if isinstance(wanted, int):
        if wanted < 1:
            raise ValueError(f"number of symbols must be positive, not {wanted}")
        return [*built_in[:wanted], *(_made_up(family, index) for index in range(len(built_in), wanted))]
    known = {instrument.symbol: instrument for instrument in built_in}
    missing = [symbol for symbol in wanted if symbol not in known]
    if missing:
        raise ValueError(f"{family}: unknown symbols {', '.join(missing)}; built in: {', '.join(known)}")
    return [known[symbol] for symbol in dict.fromkeys(wanted)]
