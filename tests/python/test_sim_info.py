"""The instrument lists of the sim, field by field beside those of the venue."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from mdp.sim import FAMILIES

RECORDED = Path(os.environ.get("MDP_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FOLDER = {"binance": "binance-spot", "binance-usdm": "binance-usdm", "binance-coinm": "binance-coinm"}

CONTRACT = [
    *("symbol", "pair", "contractType", "deliveryDate", "onboardDate", "STATUS", "maintMarginPercent"),
    *("requiredMarginPercent", "baseAsset", "quoteAsset", "marginAsset", "pricePrecision"),
    *("quantityPrecision", "baseAssetPrecision", "quotePrecision", "underlyingType", "underlyingSubType"),
]
FEES = ["triggerProtect", "liquidationFee", "marketTakeBound", "maxMoveOrderLimit"]
ORDERS = ["filters", "orderTypes", "timeInForce", "permissionSets"]
# The keys of the venue's pages and answers of 2026, in the order of its answers.
KEYS = {
    "binance": [
        *("symbol", "status", "baseAsset", "baseAssetPrecision", "quoteAsset", "quotePrecision"),
        *("quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision", "orderTypes"),
        *("icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed", "quoteOrderQtyMarketAllowed"),
        *("allowTrailingStop", "cancelReplaceAllowed", "amendAllowed", "pegInstructionsAllowed"),
        *("isSpotTradingAllowed", "isMarginTradingAllowed", "filters", "permissions", "permissionSets"),
        *("defaultSelfTradePreventionMode", "allowedSelfTradePreventionModes"),
    ],
    "binance-usdm": [key.replace("STATUS", "status") for key in (*CONTRACT, "settlePlan", *FEES, *ORDERS)],
    "binance-coinm": [
        key.replace("STATUS", "contractStatus")
        for key in (*CONTRACT, *FEES, "contractSize", "equalQtyPrecision", *ORDERS)
    ],
}
# Filters that spot had in 2021, and those that took their place.
REPLACED = {"PERCENT_PRICE": "PERCENT_PRICE_BY_SIDE", "MIN_NOTIONAL": "NOTIONAL"}


def listed(family):
    return json.loads(FAMILIES[family].instrument_list(2400, FAMILIES[family].instruments(8)))


def recorded(family):
    paths = sorted((RECORDED / FOLDER[family]).glob("*.info.jsonl.gz"))
    if not paths:
        pytest.skip(
            f"no recorded exchangeInfo of {family} in {RECORDED}; MDP_SHARED_DATA names another folder"
        )
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(json.loads(line)["data"])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_instrument_has_the_keys_of_the_venue_in_its_order(family):
    symbols = listed(family)["symbols"]
    assert len({entry["symbol"] for entry in symbols}) == 8
    for entry in symbols:
        assert list(entry) == KEYS[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_key_of_recorded_instruments_is_there_and_of_its_type(family):
    ours = listed(family)
    entry = ours["symbols"][0]
    filters = {row["filterType"]: row for row in entry["filters"]}
    for theirs in recorded(family):
        assert set(theirs) - set(ours) == set()
        kinds = {(row["rateLimitType"], row["interval"]) for row in ours["rateLimits"]}
        assert {(row["rateLimitType"], row["interval"]) for row in theirs["rateLimits"]} <= kinds
        for other in theirs["symbols"]:
            assert set(other) - set(entry) == set(), other["symbol"]
            for key, value in other.items():
                assert type(value) is type(entry[key]), key
            assert set(other["timeInForce"] if family != "binance" else []) <= set(
                entry.get("timeInForce", [])
            )
            for row in other["filters"]:
                kind = row["filterType"]
                if family == "binance" and kind in REPLACED:
                    assert kind not in filters and REPLACED[kind] in filters
                    continue
                assert set(row) - set(filters[kind]) == set(), kind
                for key, value in row.items():
                    assert type(value) is type(filters[kind][key]), (kind, key)


@pytest.mark.parametrize("family", FAMILIES)
def test_status_of_every_instrument_is_trading(family):
    key = "contractStatus" if family == "binance-coinm" else "status"
    assert {entry[key] for entry in listed(family)["symbols"]} == {"TRADING"}
