"""The instrument lists (``exchangeInfo``) of the three families, keys and filters as the venue has them."""

from __future__ import annotations

import json
import time
from typing import Any

from mdp.sim.instruments import Instrument, text_e8


def _spot_rate_limits(weight: int) -> list[dict[str, Any]]:
    """Return the ``rateLimits`` of spot."""
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
    ]


def _spot_entry(symbol: str, base: str, quote: str, tick_e8: int, lot_e8: int) -> dict[str, Any]:
    """Return one entry of ``symbols`` on spot."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text_e8(tick_e8),
                "maxPrice": text_e8(tick_e8 * 100_000_000),
                "tickSize": text_e8(tick_e8),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": text_e8(lot_e8),
                "maxQty": text_e8(lot_e8 * 900_000_000),
                "stepSize": text_e8(lot_e8),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": text_e8(lot_e8 * 9_000_000),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    }


def _plain(value_e8: int) -> str:
    """Format a count of 1e-8 units without trailing zeros."""
    text = text_e8(value_e8)
    return text.rstrip("0").rstrip(".")


def _futures_filters(spec: Instrument, *, coin: bool) -> list[dict[str, Any]]:
    """Return the filters of a contract; ``filterType`` is not the first key, as on the venue."""
    tick, lot = _plain(spec.tick_e8), _plain(spec.lot_e8)
    filters: list[dict[str, Any]] = [
        {
            "minPrice": tick,
            "maxPrice": _plain(spec.tick_e8 * 10_000_000),
            "filterType": "PRICE_FILTER",
            "tickSize": tick,
        },
        {"stepSize": lot, "filterType": "LOT_SIZE", "maxQty": _plain(spec.lot_e8 * 1_000_000), "minQty": lot},
        {
            "stepSize": lot,
            "filterType": "MARKET_LOT_SIZE",
            "maxQty": _plain(spec.lot_e8 * 120_000),
            "minQty": lot,
        },
        {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
        {"limit": 20 if coin else 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
    ]
    if not coin:
        filters.append({"notional": "5", "filterType": "MIN_NOTIONAL"})
    filters.append(
        {
            "multiplierDown": "0.9500",
            "multiplierUp": "1.0500",
            "multiplierDecimal": "4",
            "filterType": "PERCENT_PRICE",
        }
    )
    if not coin:
        filters.append({"positionControlSide": "NONE", "filterType": "POSITION_RISK_CONTROL"})
    return filters


def _futures_entry(product: int, spec: Instrument) -> dict[str, Any]:
    """Return one entry of ``symbols`` on futures, with every key of 2021 and 2026."""
    coin = product == 2
    entry: dict[str, Any] = {
        "symbol": spec.symbol,
        "pair": spec.pair,
        "contractType": spec.contract_type,
        "deliveryDate": spec.delivery_ms,
        "onboardDate": 1_597_042_800_000 if coin else 1_569_398_400_000,
        "contractStatus" if coin else "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.base if coin else spec.quote,
        "pricePrecision": spec.price_decimals,
        "quantityPrecision": spec.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
    }
    if not coin:
        entry["settlePlan"] = 0
    entry |= {
        "triggerProtect": "0.0500",
        "liquidationFee": "0.015000" if coin else "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
    }
    if coin:
        entry |= {"contractSize": spec.contract_size, "equalQtyPrecision": 4}
    return entry | {
        "filters": _futures_filters(spec, coin=coin),
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", *([] if coin else ["GTD"])],
        "permissionSets": ["GRID"] if coin else ["GRID", "COPY"],
    }


def _futures_rate_limits(weight: int, *, coin: bool) -> list[dict[str, Any]]:
    """Return the ``rateLimits`` of futures."""
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    ]
    if not coin:
        limits.append({"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300})
    return limits


def spot(weight_limit: int, instruments: list[Instrument]) -> str:
    """Return the body of spot's ``GET exchangeInfo``.

    Parameters
    ----------
    weight_limit : int
        Request weight per minute that it names.
    instruments : list of Instrument
        What it lists.
    """
    return _body(
        {
            **_head(),
            "rateLimits": _spot_rate_limits(weight_limit),
            "exchangeFilters": [],
            "symbols": [
                _spot_entry(spec.symbol, spec.base, spec.quote, spec.tick_e8, spec.lot_e8)
                for spec in instruments
            ],
        }
    )


def futures(product: int, weight_limit: int, instruments: list[Instrument]) -> str:
    """Return the body of a futures family's ``GET exchangeInfo``; `product`: see `Family`."""
    coin = product == 2
    info = _head()
    if not coin:
        info["futuresType"] = "U_MARGINED"
    info["rateLimits"] = _futures_rate_limits(weight_limit, coin=coin)
    info["exchangeFilters"] = []
    if not coin:
        assets = list(dict.fromkeys(spec.quote for spec in instruments))
        info["assets"] = [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in assets
        ]
    info["symbols"] = [_futures_entry(product, spec) for spec in instruments]
    return _body(info)


def _head() -> dict[str, Any]:
    return {"timezone": "UTC", "serverTime": time.time_ns() // 1_000_000}


def _body(info: dict[str, Any]) -> str:
    return json.dumps(info, separators=(",", ":"))
