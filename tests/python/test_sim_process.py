"""The sim as a process: starts, answers its handle, and is never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from mdp.sim import SimProcessError, start_sim_process

DEADLINE_S = 60


def gone(pid):
    """Return whether a process has ended; one that waits to be reaped has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def wait_gone(pid):
    deadline = time.monotonic() + DEADLINE_S
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def test_process_serves_truth_faults_and_status():
    with start_sim_process(symbols=["BTCUSDT", "ETHUSDT"], rate=100, seed=3) as sim:
        assert sim.symbols == ["BTCUSDT", "ETHUSDT"] and sim.port > 0
        assert sim.rest_url == f"https://127.0.0.1:{sim.port}" and sim.ws_url == f"wss://127.0.0.1:{sim.port}"
        now = sim.truth("BTCUSDT")
        assert sim.truth("BTCUSDT", now["updateId"]) == now and len(now["bids"]) == 20
        assert len(sim.truth("ETHUSDT", depth=3)["asks"]) == 3
        with pytest.raises(LookupError, match="outside the history"):
            sim.truth("BTCUSDT", now["updateId"] + 10**9)
        assert sim.fault("drop", stream="btcusdt@trade")["remaining"] == 1
        assert [fault["kind"] for fault in sim.faults()] == ["drop"]
        sim.clear_faults()
        assert sim.faults() == []
        with pytest.raises(SimProcessError, match="allowed"):
            sim.fault("nonsense")
        assert sim.status()["symbols"]["BTCUSDT"]["updateId"] >= now["updateId"]
        status, headers, _ = sim.request("GET", "/api/v3/depth?symbol=BTCUSDT")
        assert status == 200 and headers["x-mbx-used-weight-1m"]
        tls_dir = Path(sim.ca_file).parent
        assert tls_dir.is_dir()
    assert sim.process.returncode == 0
    assert not tls_dir.exists()
    assert sim.stop() == 0


def test_process_is_stepped_by_hand():
    with start_sim_process(
        families="binance,binance-coinm", symbols=2, rate=0, plain=True, depth_interval_ms=3_600_000
    ) as sim:
        start = sim.truth("BTCUSDT")["updateId"]
        first = sim.step("BTCUSDT", 100)
        assert first >= start + 100 and sim.truth("BTCUSDT")["updateId"] == first
        assert sim.step("BTCUSDT", 0, cut="@100ms") == first
        assert sim.step("BTCUSD_PERP", 10, cut="", venue="binance-coinm") > 10**12
        assert sim.status("binance-coinm")["symbols"]["BTCUSD_PERP"]["changes"] >= 10
        for bad in (
            {"symbol": "NOPE"},
            {"symbol": "BTCUSDT", "events": -1},
            {"symbol": "BTCUSDT", "cut": "x"},
        ):
            with pytest.raises(SimProcessError, match="400"):
                sim.step(**bad)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_cleanly(number):
    with start_sim_process(rate=0, symbols="1", plain=True) as sim:
        sim.process.send_signal(number)
        assert sim.process.wait(DEADLINE_S) == 0


@pytest.mark.skipif(os.name != "posix", reason="kills the parent with SIGKILL")
def test_killed_parent_takes_it_along():
    script = textwrap.dedent(
        """
        import os, signal
        from mdp.sim import start_sim_process
        sim = start_sim_process(rate=0, symbols="1")
        print(sim.pid, sim.ca_file, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment, check=False
    )
    pid, ca_file = parent.stdout.split()
    wait_gone(int(pid))
    assert not Path(ca_file).exists()


def test_wrong_options_are_reported():
    for bad in ({"symbols": "NOPE"}, {"replay": "/nonexistent/session"}, {"rate": "fast"}):
        with pytest.raises(SimProcessError, match="exit code 2"):
            start_sim_process(**bad)
