"""Turn recorded sessions into text files of frames that bench_parser loads.

    python bench/prepare_frames.py [RECORDINGS [OUTPUT]]

RECORDINGS (default: $MDP_SHARED_DATA, then ../shared/data) holds one folder per venue with .jsonl.gz files.
Each web socket session of Binance spot, USD-M and COIN-M becomes OUTPUT/<venue>-<session>.frames (default:
build/bench-data): the frames received, one a line, as they came.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

VENUES = ("binance-spot", "binance-usdm", "binance-coinm")


def main() -> None:
    """Write one file per session, or say that there are no recordings."""
    root = Path(__file__).resolve().parents[1]
    default = os.environ.get("MDP_SHARED_DATA", str(root.parent / "shared" / "data"))
    recordings = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else root / "build" / "bench-data"
    output.mkdir(parents=True, exist_ok=True)
    for venue in VENUES:
        for path in sorted((recordings / venue).glob("*.ws1*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                records = [json.loads(line) for line in lines]
            frames = [record["data"] for record in records if record["kind"] == "ws-in"]
            session = path.name.split(".ws1")[0]
            (output / f"{venue}-{session}.frames").write_text("\n".join(frames) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
