"""The commands that look at a segment, and their errors."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.harness import (
    ROOT,
    Mdp,
    decimals,
    fresh,
    run_mdp,
    settings,
    wait_for,
    wait_live,
    write_config,
)
from mdp import Provider, Subscriber
from mdp.__main__ import main
from mdp.sim import SimProcess


@dataclass
class Live:
    """A sim and a provider whose books are LIVE."""

    sim: SimProcess
    provider: Provider | None


@pytest.fixture
def live(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> Iterator[Live]:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT"], rate=100)
    provider = start_provider(settings(sim, segment, topology="fused"))
    wait_live(provider)
    market = Live(sim, provider)
    del provider
    yield market
    market.provider = None  # pytest keeps the fixture's value longer than the leak check wants


TOP = re.compile(r"^binance:BTC-USDT LIVE (\d+) ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+)$")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "binance:BTC-USDT"])
def test_book_top_is_the_truth(live: Live, segment: str, symbol: str) -> None:
    process = run_mdp("book", segment, symbol, "--top")
    assert (process.wait(), process.stderr) == (0, "")
    match = TOP.match(process.stdout)
    assert match, process.stdout
    truth = live.sim.truth("BTCUSDT", int(match[1]), 1)
    assert decimals([match.group(2, 3)]) == decimals(truth["bids"])
    assert decimals([match.group(4, 5)]) == decimals(truth["asks"])


def test_book_shows_levels_of_both_sides(live: Live, segment: str) -> None:
    process = run_mdp("book", segment, "ETHUSDT", "--depth", "5")
    assert (process.wait(), process.stderr) == (0, "")
    head, _, *rows, publisher = process.stdout.splitlines()
    update_id = int(head.split()[-1])
    assert head == f"binance:ETH-USDT  LIVE (SYNCED)  update {update_id}"
    generation = Subscriber(segment).generation
    assert publisher == f"publisher running, heartbeat 0.0 s old, generation {generation:016x}"
    cells = [row.replace("|", " ").split() for row in rows]
    truth = live.sim.truth("ETHUSDT", update_id, 5)
    assert decimals([(row[1], row[0]) for row in cells]) == decimals(truth["bids"])
    assert decimals([(row[2], row[3]) for row in cells]) == decimals(truth["asks"])


def test_segment_of_another_user_is_read_by_who_names_that_user(live: Live, segment: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a file to another user")
    os.chown(f"/dev/shm/{segment}", 12345, -1)
    refused = run_mdp("book", segment, "BTCUSDT", "--top")
    assert refused.wait() == 2
    assert "belongs to uid 12345, wanted is this user or root" in refused.stderr
    for arguments in (["book", segment, "BTCUSDT"], ["tail", segment, "--count", "1"]):
        assert run_mdp(*arguments, "--trusted-uid", "12345").wait() == 0


def test_ls_tells_of_every_segment(live: Live, segment: str, tmp_path: Path) -> None:
    others = {"squatter": b"", "text": b"x" * 4096}
    for kind, content in others.items():
        Path("/dev/shm", f"{segment}-{kind}").write_bytes(content)
    os.mkfifo(f"/dev/shm/{segment}-fifo")
    try:
        process = run_mdp("ls")
        assert (process.wait(), process.stderr) == (0, "")
    finally:
        for kind in (*others, "fifo"):
            Path("/dev/shm", f"{segment}-{kind}").unlink()
    head, *rows = process.stdout.splitlines()
    assert head.split() == [
        "SEGMENT",
        "PUBLISHER",
        "PID",
        "OWNER",
        "STARTED",
        "HEARTBEAT",
        "SYMBOLS",
        "EVENTS",
    ]
    (row,) = (re.split(r"  +", row) for row in rows if row.startswith(f"{segment} "))
    subscriber = Subscriber(segment)
    assert row[1:3] == ["running", str(subscriber.publisher_pid)]
    assert row[3] == getpass.getuser()
    assert re.fullmatch(r"\d+\.\d s ago", row[4])
    assert row[5] in ("0.0 s ago", "0.1 s ago")
    assert row[6] == str(len(subscriber.instruments))
    assert int(row[7]) > 0
    assert any("a FIFO" in line for line in rows), "what nobody trusts is told, and hangs nothing"
    assert not any(f"{segment}-text" in line for line in rows), "somebody else's file is none of ours"


def test_tail_prints_events_in_sequence(live: Live, segment: str) -> None:
    process = run_mdp("tail", segment, "--count", "200", "--oldest")
    assert (process.wait(), process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(200))
    kinds = {line.split()[1] for line in lines}
    assert {"instrument", "book_state", "book_snapshot", "book_delta", "bbo", "trade"} <= kinds
    assert any(
        re.search(r" trade binance:\S+ trade_id=\d+ side=(buy|sell) [\d.]+x[\d.]+$", line) for line in lines
    )
    assert any(line.endswith("source=venue") for line in lines)
    assert any(line.endswith("source=book") for line in lines)


def test_tail_of_one_symbol(live: Live, segment: str) -> None:
    process = run_mdp("tail", segment, "--count", "20", "--symbol", "ETHUSDT")
    assert process.wait() == 0
    lines = process.stdout.splitlines()
    assert len(lines) == 20
    assert {line.split()[2] for line in lines} == {"binance:ETH-USDT"}


def test_tail_ends_with_the_publisher(live: Live, segment: str, start_mdp: Callable[..., Mdp]) -> None:
    process = start_mdp("tail", segment)
    wait_for(lambda: process.stdout, "an event")
    live.provider.stop()
    assert process.wait() == 0
    assert f"{segment} has ended: publisher stopped, heartbeat " in process.stderr


def test_top_shows_every_symbol(live: Live, segment: str) -> None:
    process = run_mdp("top", segment, "--duration", "2.5")
    assert (process.wait(), process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"binance:BTC-USDT", "binance:ETH-USDT"}
    assert {line.split()[1] for line in lines} == {"LIVE"}
    ids = [int(line.split()[2]) for line in lines if "BTC" in line]
    assert len(ids) >= 2
    assert ids == sorted(set(ids)), "it changes"


def test_reading_never_disturbs_the_publisher(live: Live, segment: str) -> None:
    for arguments in (["book", segment, "BTCUSDT"], ["tail", segment, "--count", "5"]):
        assert run_mdp(*arguments).wait() == 0
    before = Subscriber(segment).book("BTCUSDT").update_id
    wait_for(lambda: Subscriber(segment).book("BTCUSDT").update_id > before, "an update")
    assert fresh(live.provider).health().engine.resyncs == 0


def test_check_says_what_a_configuration_does() -> None:
    process = run_mdp("check", ROOT / "config/binance-spot.yaml")
    assert (process.wait(), process.stderr) == (0, "")
    first, segment, venue = process.stdout.splitlines()
    assert first.endswith("config/binance-spot.yaml: ok")
    assert segment == "segment mdp: ring of 256.0MiB, 20 levels a side, room for 1024 symbols"
    assert venue.startswith("binance: 10 symbols (depth, trade, quote): BTCUSDT, ETHUSDT,")


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("venue", "line", "message"),
    [
        (
            {"depth_interval_ms": 250},
            2,
            "venues[0]: venue binance: depth_interval_ms 250 is not offered, only 100, 1000",
        ),
        ({"microsecond_times": True, "name": "binance-usdm"}, 2, "microsecond_times is not offered"),
        ({"channels": ["liquidation"]}, 2, "venues[0]: binance does not offer the channel liquidation"),
        (
            {"ws_url": "ws://venue.test:80"},
            5,
            "venues[0].ws_url: URL 'ws://venue.test:80': connections without TLS are allowed to loopback "
            "hosts only; use wss (found 'ws://venue.test:80')",
        ),
        ({"rest_url": "http://venue.test"}, 5, "only; use https"),
        ({"tls": {"ca_file": "none.pem"}}, 2, "tls.ca_file 'none.pem': cannot be read as PEM certificates"),
        (
            {"tls": {"insecure_skip_verify": True}},
            2,
            "insecure_skip_verify is allowed for loopback hosts only",
        ),
        (
            {"tls": {"insecure_skip_verify": True}, "rest_url": "https://127.0.0.1:1"},
            2,
            "stream.binance.com:9443: insecure_skip_verify is allowed for loopback hosts only",
        ),
    ],
)
def test_check_finds_what_would_end_a_run(
    tmp_path: Path, segment: str, venue: dict[str, Any], line: int, message: str, command: str
) -> None:
    wanted = {
        "venues": [{"name": "binance", "symbols": ["BTCUSDT"], **venue}],
        "segment": {"name": segment},
        "strict": True,  # else a run tells it and goes on: test_missing.py
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(wanted, sort_keys=False))
    process = run_mdp(command, file)
    assert (process.wait(), process.stdout) == (2, "")
    error = process.stderr.splitlines()[-1]  # a run logs its start before
    assert error.startswith(f"error: {file}:{line}: "), process.stderr
    assert message in error
    assert "Traceback" not in process.stderr


def test_errors_are_one_message_and_exit_code_2(
    tmp_path: Path, segment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    not_ours = tmp_path / "broken.yaml"
    not_ours.write_text("venues: [\n")
    cases: list[tuple[list[object], str]] = [
        (
            ["check", tmp_path / "none.yaml"],
            f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory",
        ),
        (["check", not_ours], f"{not_ours}:2: not YAML"),
        (["book", segment, "BTCUSDT"], f'cannot attach to segment "{segment}": no such segment'),
        (["tail", segment], f'cannot attach to segment "{segment}": no such segment'),
        (["top", segment], f'cannot attach to segment "{segment}": no such segment'),
        (["run", write_config(tmp_path / "v.yaml", {"venues": []})], "venues"),
    ]
    for arguments, message in cases:
        monkeypatch.setattr("sys.argv", ["mdp", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (2, ""), arguments
        assert err.startswith("error: ")
        assert message in err
        assert err.count("\n") == 1, err


def test_symbol_the_segment_does_not_have(live: Live, segment: str) -> None:
    for arguments in (["book", segment, "LTCUSDT"], ["tail", segment, "--symbol", "LTCUSDT"]):
        process = run_mdp(*arguments)
        assert process.wait() == 2
        wanted = f"error: segment \"{segment}\" has no instrument 'LTCUSDT'; it has: BTCUSDT, ETHUSDT\n"
        assert (process.stdout, process.stderr) == ("", wanted)


def test_misuse_is_explained() -> None:
    process = run_mdp("book")
    assert process.wait() == 2
    assert "Missing argument" in process.stderr
    assert "Traceback" not in process.stderr
    assert "Usage" in run_mdp("--help").stdout
    version = run_mdp("--version")
    assert version.wait() == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", version.stdout)
