"""Bad input: the message says what was wanted, what was found and where, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from integration.harness import (
    LIVE_ROAD,
    Mdp,
    RingModel,
    assert_book_is_true,
    assert_soon_live,
    recovery,
    run_mdp,
    settings,
    shared_memory,
    wait_for,
    wait_live,
    write_config,
)
from mdp import ConfigError, Provider, SegmentError, StaleBookError, StateReason, Subscriber
from mdp._core import PublisherStatus
from mdp.sim import SimProcess

BAD_CERTIFICATES = {
    "expired": "certificate has expired",
    "wrong-host": "mismatch",
    "untrusted": "unable to get local issuer certificate|self-signed certificate in certificate chain",
    "self-signed": "self-signed certificate",
}


def only_message(process: Mdp) -> str:
    """Return the one message of a command that failed as commands should."""
    assert process.wait() == 2
    assert process.stdout == ""
    lines = process.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, process.stderr
    assert "Traceback" not in process.stderr, process.stderr
    return errors[0]


@pytest.mark.parametrize("command", ["run", "check"])
def test_unknown_key(tmp_path: Path, segment: str, start_mdp: Callable[..., Mdp], command: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        f"segment:\n  name: {segment}\n"
        "venues:\n  - name: binance\n    symbolz: [BTCUSDT]\n    symbols: [BTCUSDT]\n"
    )
    message = only_message(start_mdp(command, file))
    assert f"{file}:5: venues[0].symbolz: unknown key; did you mean symbols?" in message
    assert segment not in shared_memory()


@pytest.mark.parametrize("command", ["run", "check"])
def test_symbol_longer_than_the_directory_holds(
    tmp_path: Path, segment: str, start_mdp: Callable[..., Mdp], command: str
) -> None:
    file = write_config(tmp_path / "config.yaml", settings(None, segment, symbols=["BTCUSDT", "A" * 65]))
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "AAA" in text)
    message = only_message(start_mdp(command, file))
    assert f"{file}:{line}: venues[0].symbols[1]: has 65 bytes; the segment's directory holds 64" in message
    assert segment not in shared_memory()


def test_symbol_the_venue_does_not_list(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT"], rate=0)
    config = settings(sim, segment, topology=topology, symbols=["BTCUSDT", "ETHUSTD"]) | {"strict": True}
    file = write_config(tmp_path / "config.yaml", config)
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "ETHUSTD" in text)
    message = only_message(start_mdp("run", file))
    assert f"{file}:{line}: venues[0].symbols[1]: binance does not list 'ETHUSTD'" in message
    assert "did you mean ETHUSDT" in message
    assert segment not in shared_memory()


def test_segment_of_a_live_publisher_is_refused(
    start_sim: Callable[..., SimProcess],
    start_provider: Callable[..., Provider],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=100)
    config = settings(sim, segment, topology=topology)
    first = start_provider(config)
    wait_live(first)
    reader = Subscriber(segment)

    message = only_message(start_mdp("run", write_config(tmp_path / "config.yaml", config)))
    assert segment in message
    assert str(os.getpid()) in message
    with pytest.raises(SegmentError, match=f"{segment}.*{os.getpid()}"):
        start_provider(config)

    # The first one goes on, for the reader it had and for new ones.
    before = reader.book("BTCUSDT").update_id
    wait_for(lambda: reader.book("BTCUSDT").update_id > before, "the first publisher to go on")
    assert_book_is_true(sim, Subscriber(segment).book("BTCUSDT", require_live=True))
    assert first.health().engine.resyncs == 0


def test_segment_of_a_killed_publisher_is_replaced(
    start_sim: Callable[..., SimProcess],
    start_provider: Callable[..., Provider],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=100)
    config = settings(sim, segment, topology=topology)
    killed = start_mdp("run", write_config(tmp_path / "config.yaml", config))
    killed.wait_for_text("book.live")
    reader = Subscriber(segment)
    assert reader.publisher_status() == PublisherStatus.RUNNING
    killed.kill()
    assert segment in shared_memory(), "nobody was left to remove it"
    while reader.poll():
        pass
    wait_for(lambda: reader.publisher_status() == PublisherStatus.DEAD, "its death to be noticed")
    with pytest.raises(StaleBookError, match="PUBLISHER_DEAD"):
        reader.book("BTCUSDT", require_live=True)
    for command in (["book", segment, "BTCUSDT", "--top"], ["top", segment, "--duration", "1.1"]):
        shown = run_mdp(*command)
        assert shown.wait() == 0
        assert "LIVE" not in shown.stdout, f"{command}: nobody keeps that book"

    asked_before = sim.status()
    provider = start_provider(config)
    wait_live(provider)
    book = RingModel(segment).book_when_live("BTCUSDT")
    started_at = asked_before["symbols"]["BTCUSDT"]["updateId"]
    assert_soon_live(sim, "BTCUSDT", [(started_at, book.live_at)], 100, wait_s=0.0)
    asked = sim.status()
    for what, times in (("connections", 1), ("restRequests", 2)):
        assert asked[what] - asked_before[what] == times, what
    assert reader.reattach(), "the reader goes over to the new publisher"
    assert reader.publisher_pid == os.getpid()
    assert_book_is_true(sim, reader.book("BTCUSDT", require_live=True))


def test_malformed_frame_is_counted_logged_and_survived(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=100)
    config = settings(sim, segment, topology=topology)
    process = start_mdp("run", write_config(tmp_path / "config.yaml", config))
    process.wait_for_text("book.live")
    model = RingModel(segment)
    sim.fault("corrupt", stream="btcusdt@depth@100ms")
    process.wait_for_text("frame.unreadable")
    process.wait_for_text("reason=parse_error")
    wait_for(lambda: process.stderr.count("book.live") == 2, lambda: process.stderr)
    assert_book_is_true(sim, model.subscriber.book("BTCUSDT", require_live=True))
    book = model.book("BTCUSDT")
    model.advance(lambda: book.recoveries, lambda: book.states)
    assert book.states == [*LIVE_ROAD, *recovery(StateReason.PARSE_ERROR)]
    assert_soon_live(sim, "BTCUSDT", book.recoveries, 100, wait_s=0.0)
    assert (sim.status()["connections"], sim.status()["snapshots"]) == (1, {"BTCUSDT": 2})
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize("flavour", BAD_CERTIFICATES)
def test_wrong_certificate_is_refused_for_as_long_as_it_is_wrong(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    flavour: str,
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=0, tls_flavour=flavour)
    process = start_mdp("run", write_config(tmp_path / "config.yaml", settings(sim, segment)))
    for attempt in (1, 2, 3):
        process.wait_for_text(f"venue.unreachable venue=binance attempt={attempt} ")
    line = next(line for line in process.stderr.splitlines() if "venue.unreachable" in line)
    assert re.search(BAD_CERTIFICATES[flavour], line), line
    assert sim.rest_url in line
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    assert "Traceback" not in process.stderr
    assert segment not in shared_memory()
    assert sim.status()["restRequests"] == 0, "nothing was sent to a stranger"


@pytest.mark.parametrize("flavour", BAD_CERTIFICATES)
def test_wrong_certificate_of_the_stream_alone_is_refused(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    flavour: str,
) -> None:
    good = start_sim(symbols=["BTCUSDT"], rate=0, plain=True)
    bad = start_sim(symbols=["BTCUSDT"], rate=0, tls_flavour=flavour)
    config = settings(good, segment, ws_url=bad.ws_url, tls={"ca_file": bad.ca_file}, quiet_sync_ms=50)
    process = start_mdp("run", write_config(tmp_path / "config.yaml", config))
    wait_for(
        lambda: len(re.findall(BAD_CERTIFICATES[flavour], process.stderr)) >= 2,
        lambda: f"two refusals in {process.stderr}",
    )
    assert not Subscriber(segment).book("BTCUSDT").live
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert bad.status()["clients"] == []
    assert segment not in shared_memory()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("", "no certificate or crl found"),
        ("no certificate\n", "no certificate or crl found"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "wrong tag"),
    ],
    ids=["missing", "empty", "not PEM", "damaged"],
)
def test_ca_file_of_no_use_is_told_at_start_with_what_to_do(
    start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, content: str | None, reason: str
) -> None:
    ca_file = tmp_path / "authority.pem"
    if content is not None:
        ca_file.write_text(content)
    venue = {"symbols": ["BTCUSDT"], "tls": {"ca_file": str(ca_file)}}
    file = write_config(tmp_path / "config.yaml", settings(None, segment, **venue) | {"strict": True})
    message = only_message(start_mdp("run", file))
    assert f"venues[0]: tls.ca_file '{ca_file}': cannot be read as PEM certificates: {reason}" in message
    assert "name a file of certificates in PEM form that this user may read" in message
    assert segment not in shared_memory()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_unreachable_venue_is_named_and_tried_until_stopped(
    start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, number: int
) -> None:
    with socket.socket() as free:  # bound, never listening: whoever connects is refused
        free.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{free.getsockname()[1]}"
        config = settings(
            None, segment, ws_url=f"wss://{url}", rest_url=f"https://{url}", symbols=["BTCUSDT"]
        )
        process = start_mdp("run", write_config(tmp_path / "config.yaml", config))
        process.wait_for_text("venue.unreachable venue=binance attempt=3 ")
        assert f"https://{url}" in process.stderr
        assert "refused" in process.stderr.lower()
        process.signal(number)
        assert process.wait() == 0
    assert "Traceback" not in process.stderr
    assert segment not in shared_memory()


def test_start_need_not_wait_for_a_venue(
    start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        asked: list[int] = []
        config = settings(None, segment, topology=topology, rest_url=url, symbols=["BTCUSDT"])
        provider = start_provider(config, cancelled=lambda: len(asked) > 5 or asked.append(1))
        assert Subscriber(segment).instruments == [], "it runs"
        provider.stop()
    assert segment not in shared_memory()


def test_core_that_does_not_exist(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    config = settings(start_sim(symbols=["BTCUSDT"], rate=0), segment, topology=topology)
    config["engine"]["cores"] = {
        "connectors": [4000],
        "parsers": [4000],
        "managers": [4000],
        "publisher": 4000,
    }
    with pytest.raises(ConfigError, match="4000"):
        start_provider(config)
    assert segment not in shared_memory()


def test_verification_is_never_off_for_a_real_venue(
    start_provider: Callable[..., Provider], segment: str
) -> None:
    config = settings(
        None,
        segment,
        symbols=["BTCUSDT"],
        tls={"insecure_skip_verify": True},
        rest_url="https://198.51.100.1",
    )
    with pytest.raises(ConfigError, match="insecure_skip_verify"):
        start_provider(config | {"strict": True})
    assert segment not in shared_memory()
