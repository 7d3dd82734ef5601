"""NumPy dtypes of the published records.

Notes
-----
The same as the structs of ``mdp/shm/event.hpp``; a test compares sizes and offsets with those of C++.
Numbers are mantissas: ``value = mantissa * 10**exponent``, with the exponents of the instrument. Times are
nanoseconds since the Unix epoch.
"""

from __future__ import annotations

import numpy as np

# One event: EventHeader. `size_lines` counts units of 64 bytes, `type` is an EventType, `flags` are EventFlag
# bits. bid_count and ask_count are the levels of a BOOK_DELTA or BOOK_SNAPSHOT, and 0 for others.
EVENT_DTYPE = np.dtype(
    [
        ("size_lines", "<u2"),
        ("type", "<u2"),
        ("flags", "<u2"),
        ("exchange_id", "<u2"),
        ("symbol_id", "<u4"),
        ("bid_count", "<u2"),
        ("ask_count", "<u2"),
        ("sequence", "<u8"),
        ("update_id", "<u8"),
        ("first_update_id", "<u8"),
        ("exch_ts_ns", "<i8"),
        ("recv_ts_ns", "<i8"),
        ("pub_ts_ns", "<i8"),
    ]
)

# One level of a book, or one change of it: the quantity is absolute, zero removes the level.
LEVEL_DTYPE = np.dtype([("price", "<i8"), ("quantity", "<i8")])

# Whether a book may be used: `state` is a BookState, `reason` a StateReason. How far it is known: all bids at
# known_bid or above it, all asks at known_ask or below it. The least and the greatest int64: the whole side.
BOOK_STATE_DTYPE = np.dtype(
    {
        "names": ["known_bid", "known_ask", "state", "reason"],
        "formats": ["<i8", "<i8", "<u2", "<u2"],
        "offsets": [0, 8, 16, 18],
        "itemsize": 24,
    }
)

# A connection to the venue: its number, and a LineState.
CONNECTION_STATUS_DTYPE = np.dtype(
    {"names": ["line", "state"], "formats": ["<u2", "u1"], "offsets": [0, 2], "itemsize": 8}
)

# Best bid and offer; a zero quantity is an empty side.
BBO_DTYPE = np.dtype(
    [("bid_price", "<i8"), ("bid_quantity", "<i8"), ("ask_price", "<i8"), ("ask_quantity", "<i8")]
)

# A trade; `side` is a Side, the aggressor's.
TRADE_DTYPE = np.dtype(
    {
        "names": ["price", "quantity", "trade_id", "side"],
        "formats": ["<i8", "<i8", "<u8", "u1"],
        "offsets": [0, 8, 16, 24],
        "itemsize": 32,
    }
)

# Mark price and funding; a price that was not sent is 0. The rate is at FUNDING_RATE_EXPONENT.
MARK_PRICE_DTYPE = np.dtype(
    [
        ("mark_price", "<i8"),
        ("index_price", "<i8"),
        ("settle_price", "<i8"),
        ("funding_rate", "<i8"),
        ("next_funding_ts_ns", "<i8"),
    ]
)

# A forced order; `side` is its Side, `average_price` that of what was filled (0: not sent).
LIQUIDATION_DTYPE = np.dtype(
    {
        "names": ["price", "average_price", "quantity", "filled_quantity", "side"],
        "formats": ["<i8", "<i8", "<i8", "<i8", "u1"],
        "offsets": [0, 8, 16, 24, 32],
        "itemsize": 40,
    }
)
