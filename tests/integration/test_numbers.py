"""Numbers that cannot be held and frames that cannot be read, through `mdp run` over sockets."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

from integration.harness import Mdp, settings, wait_for, write_config
from integration.sessions import HandMade, write_session
from mdp import Subscriber
from mdp.sim import SimProcess

TOO_MUCH = "92233720368548.00"  # quantities of these symbols are held at 10^-5


def playing(
    session: HandMade, folder: Path, start_sim: Callable[..., SimProcess]
) -> tuple[SimProcess, list[str]]:
    """Let the exchange play a session to who has subscribed; return it and the symbols."""
    write_session(folder, session.records, "session")
    symbols = ["DOGEUSDT", "PEPEUSDT", "SHIBUSDT"]
    sim = start_sim(replay=str(folder / "session"), speed=0, start_streams=len(symbols))
    return sim, symbols


def test_an_unheld_number_and_unreadable_frames_cost_their_symbols_and_few_lines(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
) -> None:
    session = HandMade("binance")
    session.listed("SHIBUSDT", "PEPEUSDT", "DOGEUSDT", max_qty="46116860414.00", step="1.00")
    for symbol in ("SHIBUSDT", "PEPEUSDT", "DOGEUSDT"):
        session.delta(symbol, (1001, 1002, 0), [("0.00000900", "1.00")])
        # What cannot be held is in the snapshot of SHIBUSDT as well.
        deep = TOO_MUCH if symbol == "SHIBUSDT" else "92233720828.00"
        session.snapshot(
            symbol, 1001, [("0.00000900", "1.00"), ("0.00000500", deep)], [("0.00000901", "5.00")]
        )
    frames = 400
    for update_id in range(1003, 1003 + frames):
        session.delta("SHIBUSDT", (update_id, update_id, 0), [("0.00000500", TOO_MUCH)])
        session.delta("PEPEUSDT", (update_id, update_id, 0), [("0.00000400", f"4611686041{update_id}.00")])
        session.frame("dogeusdt@depth@100ms", {"e": "depthUpdate", "E": 1, "s": "DOGEUSDT", "U": 5, "u": 4})
    sim, symbols = playing(session, tmp_path, start_sim)
    config = settings(
        sim, segment, topology=topology, symbols=symbols, channels=["depth"], snapshot_depth=1000
    )
    process = start_mdp("run", write_config(tmp_path / "config.yaml", config))
    process.wait_for_text("book.live symbol=binance:PEPE-USDT")
    wait_for(lambda: sim.status()["replay"] == "finished", lambda: sim.status())
    reader = Subscriber(segment)
    wait_for(lambda: reader.book("PEPEUSDT").update_id == 1002 + frames, "the last update of PEPEUSDT")
    book = reader.book("PEPEUSDT", require_live=True)
    assert book.levels("bids")[-2:] == [
        ("0.000005", "92233720828"),
        ("0.000004", f"4611686041{1002 + frames}"),
    ]
    assert not reader.book("SHIBUSDT").live
    # The counts come after a second and more.
    pattern = re.compile(r"(frame\.unreadable|number\.refused) symbol=binance:(\w+)-USDT (.*)")

    def lines(event: str, symbol: str) -> list[str]:
        found = pattern.findall(process.stderr)
        return [text for name, of, text in found if (name, of) == (event, symbol)]

    def counted(event: str, symbol: str) -> int:
        told = [re.search(r"more=(\d+)", text) for text in lines(event, symbol)]
        return sum(int(match[1]) if match else 1 for match in told)

    wait_for(lambda: counted("frame.unreadable", "DOGE") == frames, lambda: process.stderr)
    # Frames, and at least the first try for a snapshot.
    wait_for(lambda: counted("number.refused", "SHIB") > frames, lambda: process.stderr)
    assert len([text for text in lines("frame.unreadable", "DOGE") if "more=" not in text]) == 3
    (refused,) = [text for text in lines("number.refused", "SHIB") if "more=" not in text]
    assert f'problem="{TOO_MUCH} is beyond 92233720368547.75807, the largest number of the' in refused
    assert len(pattern.findall(process.stderr)) < 20
    assert "snapshot.failed" not in process.stderr
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
