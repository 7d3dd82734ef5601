"""What the programs of the clients have in common: they are told what to do, and say which books they show.

They run in an environment that has no mdp. Standard output is for books alone, a JSON object each; what the
client itself logs goes to standard error.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

_out = os.fdopen(os.dup(1), "w", buffering=1 << 16)
os.dup2(2, 1)  # whatever a client prints is not a book


def task() -> dict[str, Any]:
    """Return what to do.

    ``families`` maps names of venues to their ``rest_url``, ``ws_url`` and ``symbols``; ``depth`` is how many
    levels a side are compared, ``seconds`` how long to run, ``ca_file`` whom to trust.
    """
    return json.loads(sys.argv[1])


def book(family: str, symbol: str, update_id: int, bids: Iterable[Any], asks: Iterable[Any]) -> None:
    """Say which book is shown at an update id; levels are pairs of price and quantity, best first."""
    sides = {
        name: [[str(price), str(quantity)] for price, quantity in levels]
        for name, levels in (("bids", bids), ("asks", asks))
    }
    print(json.dumps({"family": family, "symbol": symbol, "id": update_id, **sides}), file=_out)


def note(text: str) -> None:
    """Say something for the report."""
    print(json.dumps({"note": text}), file=_out)


def end() -> None:
    """End at once and cleanly: some clients keep threads or tasks that would not."""
    _out.flush()
    os._exit(0)


async def flush_until(seconds: float) -> None:
    """Let the client run for some seconds, handing on what it says."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.2)
        _out.flush()
