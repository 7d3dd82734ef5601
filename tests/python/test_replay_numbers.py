"""Numbers and ids that few books have, through `mdp replay`: held exactly, or told for their symbol alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from integration.decimal_model import Record
from integration.sessions import write_session
from mdp.replay import ReplayResult, replay_session

HOSTS = {"binance": "/api/v3", "binance-usdm": "/fapi/v1", "binance-coinm": "/dapi/v1"}
TOPOLOGIES = pytest.mark.parametrize("topology", ["fused", "pipelined"])


class Session:
    """A recording composed frame by frame."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.records: list[Record] = []

    def _put(self, kind: str, data: Any, url: str | None) -> None:
        t = Decimal(1_700_000_000) + Decimal(len(self.records)) / 20
        self.records.append(Record(t, kind, url, json.dumps(data, separators=(",", ":"))))

    def listed(self, *symbols: str, max_qty: str, step: str) -> None:
        """Put in a list of instruments, all with these limits."""
        entries = [
            {
                "symbol": symbol,
                "status": "TRADING",
                "baseAsset": symbol[:4],
                "quoteAsset": symbol[4:],
                "marginAsset": symbol[:4],
                "contractType": "PERPETUAL",
                "deliveryDate": 4_133_404_800_000,
                "contractSize": 10,
                "filters": [
                    {"filterType": "PRICE_FILTER", "maxPrice": "1.00000000", "tickSize": "0.00000001"},
                    {"filterType": "LOT_SIZE", "maxQty": max_qty, "stepSize": step},
                ],
            }
            for symbol in symbols
        ]
        self._put("http", {"symbols": entries}, f"https://venue{HOSTS[self.venue]}/exchangeInfo")

    def delta(
        self, symbol: str, ids: tuple[int, int, int], bids: Iterable[Any], asks: Iterable[Any] = ()
    ) -> None:
        """Put in a delta; `ids` are U, u and pu."""
        event = {"e": "depthUpdate", "E": 1_700_000_000_000, "s": symbol, "U": ids[0], "u": ids[1]}
        if self.venue != "binance":
            event |= {"T": 1_700_000_000_000, "pu": ids[2]}
        event |= {"b": [list(level) for level in bids], "a": [list(level) for level in asks]}
        first = all(record.kind != "ws-in" for record in self.records)
        stream = f"{symbol.lower()}@depth@100ms"
        self._put("ws-in", {"stream": stream, "data": event}, "wss://venue/stream" if first else None)

    def snapshot(self, symbol: str, update_id: int, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        """Put in a REST snapshot."""
        body = {"lastUpdateId": update_id, "bids": list(bids), "asks": list(asks)}
        self._put("http", body, f"https://venue{HOSTS[self.venue]}/depth?symbol={symbol}&limit=1000")

    def replay(self, folder: Path, topology: str) -> tuple[ReplayResult, dict[str, Any]]:
        """Replay it; return the result and the books by venue symbol."""
        result = replay_session(write_session(folder, self.records), self.venue, topology=topology)
        books = {
            name.split(":")[1].removesuffix("-PERP").replace("-", ""): book
            for name, book in json.loads(result.books).items()
        }
        return result, books


@TOPOLOGIES
@pytest.mark.parametrize("venue", HOSTS)
def test_a_level_of_twice_the_largest_quantity_is_held(tmp_path: Path, venue: str, topology: str) -> None:
    session = Session(venue)
    session.listed("SHIBUSDT", max_qty="46116860414.00", step="1.00")
    session.delta("SHIBUSDT", (1001, 1002, 1000), [("0.00000900", "1.00")])
    session.snapshot("SHIBUSDT", 1001, [("0.00000900", "1.00")], [("0.00000901", "5.00")])
    session.delta("SHIBUSDT", (1003, 1003, 1002), [("0.00000500", "92233720828.00")])
    session.delta(
        "SHIBUSDT", (1004, 1004, 1003), [("0.00000899", "7.00"), ("0.00000400", "46116860414000.00")]
    )
    result, books = session.replay(tmp_path, topology)
    assert result.ok, result.problems
    assert books["SHIBUSDT"] == {
        "state": "LIVE",
        "update_id": 1004,
        "bids": [
            ["0.000009", "1"],
            ["0.00000899", "7"],
            ["0.000005", "92233720828"],
            ["0.000004", "46116860414000"],
        ],
        "asks": [["0.00000901", "5"]],
    }
