"""Any step of the way to the venue may fail: the failure names itself, and afterwards books are true."""

from __future__ import annotations

import base64
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.harness import (
    LIVE_ROAD,
    Mdp,
    RingModel,
    assert_book_is_true,
    assert_ring_equals_table,
    merged,
    run_mdp,
    settings,
    wait_for,
    write_config,
)
from integration.roadside import Behaviour, FullHouse, Hosts, Roadside
from mdp import BookState
from mdp.sim import SimProcess, start_sim_process

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
RECOVERY_UPDATES = 300
"""How many updates of the exchange's book may pass from the end of a fault to a LIVE book: 20 were the most
seen, the rest is room for a machine that is busy with other things."""
NO_ROUTE = "ff0e::1"
"""An address that no connection can go to, with or without IPv6 outside: TCP knows no multicast."""
LONGER_THAN_ANY_TEST_MS = 3_600_000


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with start_sim_process(symbols=SYMBOLS, seed=31, rate=50, depth_interval_ms=50) as sim:
        sim.status()  # the handle's connection is there before any test counts descriptors
        yield sim


@pytest.fixture(autouse=True)
def _no_old_faults(sim: SimProcess, leak_check: None) -> None:
    sim.clear_faults()


@pytest.fixture
def two_families(start_sim: Callable[..., SimProcess]) -> SimProcess:
    return start_sim(
        families=["binance", "binance-usdm"], symbols=SYMBOLS, seed=32, rate=50, depth_interval_ms=50
    )


@pytest.fixture
def roadside(leak_check: None) -> Iterator[Callable[..., Roadside]]:
    """Make listeners that end with the test."""
    made: list[Roadside] = []

    def make(*arguments: Any, **options: Any) -> Roadside:
        made.append(Roadside(*arguments, **options))
        return made[-1]

    yield make
    for listener in made:
        listener.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


class Running:
    """``mdp run``, what it says, and whether its books are true; `books`: family in the sim by symbol."""

    def __init__(self, sim: SimProcess, process: Mdp, segment: str, books: dict[str, str | None]) -> None:
        self.sim, self.process, self.books = sim, process, books
        self._read = 0  # lines of the log that told() has been through
        self.told("provider.start")
        self.model = RingModel(segment)

    def told(self, pattern: str, times: int = 1) -> str:
        """Wait until `times` more lines of its log match, and return the last of them."""

        def found() -> list[int]:
            lines = self.process.stderr.splitlines(keepends=True)
            return [
                i
                for i, line in enumerate(lines)
                if i >= self._read and line.endswith("\n") and re.search(pattern, line)
            ]

        def enough() -> bool:
            assert self.process.process.poll() is None, f"it ended: {self.process.stderr}"
            return len(found()) >= times

        wait_for(enough, lambda: f"{times} x {pattern!r} in {self.process.stderr}")
        last = found()[times - 1]
        self._read = last + 1
        return str(self.process.stderr.splitlines()[last])

    def ids(self) -> dict[str, int]:
        """Return the newest update id of each book at the exchange."""
        return {
            symbol: self.sim.truth(symbol, depth=1, venue=family)["updateId"]
            for symbol, family in self.books.items()
        }

    def assert_true_soon_after(self, fault_ended: dict[str, int]) -> None:
        """Every book is LIVE within so many updates of the exchange, and equal to the exchange's."""
        self.told("book.live", times=len(self.books))
        taken: dict[str, int] = {}

        def all_live() -> bool:
            for symbol, ended in fault_ended.items():
                book = self.model.book(symbol)
                if symbol not in taken and book.state == BookState.LIVE and book.update_id > ended:
                    taken[symbol] = book.update_id - ended
            return len(taken) == len(fault_ended)

        self.model.advance(all_live, lambda: f"LIVE: {self.process.stderr}")
        assert max(taken.values()) <= RECOVERY_UPDATES, taken
        self.assert_true()

    def assert_true(self) -> None:
        """Every book is LIVE, moves on, and is in table and ring what the exchange has."""
        subscriber = self.model.subscriber
        for symbol, family in self.books.items():
            at = subscriber.book(symbol).update_id
            wait_for(lambda symbol=symbol, at=at: subscriber.book(symbol).update_id > at, symbol)
            book = subscriber.book(symbol, require_live=True)
            assert_book_is_true(self.sim, book, family)
            assert_ring_equals_table(self.model, book)

    def stop(self) -> None:
        """Ask it to end, and see that it does so in order."""
        self.process.signal(signal.SIGTERM)
        assert self.process.wait() == 0
        assert "Traceback" not in self.process.stderr, self.process.stderr


Start = Callable[..., Running]


@pytest.fixture
def run(sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str) -> Start:
    """Start ``mdp run`` with the venue's settings as keywords."""

    def start(*, env: dict[str, str] | None = None, **venue: Any) -> Running:
        config = merged(settings(sim, segment, **venue), {"log": {"level": "debug"}})
        process = start_mdp("run", write_config(tmp_path / "config.yaml", config), env=env)
        return Running(sim, process, segment, dict.fromkeys(SYMBOLS))

    return start


def by_name(sim: SimProcess, host: str, port: int | None = None) -> dict[str, Any]:
    """Settings that reach the sim under another name than its certificate bears."""
    at = f"{host}:{port or sim.port}"
    return {"ws_url": f"wss://{at}", "rest_url": f"https://{at}", "tls": {"server_name": "localhost"}}


# ---- HTTP proxy ----

PASSWORD = "s3cret p@ss:/word"
USER_INFO = "jane:s3cret%20p%40ss%3A%2Fword@"


def test_everything_goes_through_the_configured_proxy_and_nobody_reads_its_password(
    sim: SimProcess,
    start_mdp: Callable[..., Mdp],
    roadside: Callable[..., Roadside],
    tmp_path: Path,
    segment: str,
) -> None:
    proxy, of_environment = roadside(Behaviour.PROXY), roadside(Behaviour.SILENT)
    url = f"http://127.0.0.1:{of_environment.port}"
    environment = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), url)
    # A name that only the proxy knows: whatever went around it would fail.
    venue = by_name(sim, "venue.invalid") | {"proxy": f"http://{USER_INFO}127.0.0.1:{proxy.port}"}
    over = {"log": {"level": "debug"}, "metrics": {"port": 0}}
    file = write_config(tmp_path / "config.yaml", merged(settings(sim, segment, **venue), over))
    running = Running(
        sim,
        start_mdp("run", file, env={**environment, "NO_PROXY": "*", "no_proxy": "*"}),
        segment,
        dict.fromkeys(SYMBOLS),
    )
    running.assert_true_soon_after(running.ids())

    streams = len(sim.status()["clients"])
    assert streams == 1
    assert len(proxy.requests) >= 2, "one tunnel for the stream, and at least one for REST"
    for request in proxy.requests:
        assert request.startswith(f"CONNECT venue.invalid:{sim.port} HTTP/1.1\r\n")
        (credentials,) = re.findall(r"Proxy-Authorization: Basic (\S+)\r\n", request)
        assert base64.b64decode(credentials).decode() == f"jane:{PASSWORD}"
    assert of_environment.accepted == 0, "the environment is not looked at"

    address = re.search(r"metrics.serve host=(\S+) port=(\d+)", running.process.stderr)
    assert address is not None
    with urllib.request.urlopen(f"http://{address[1]}:{address[2]}/metrics") as answer:
        metrics = answer.read().decode()
    assert "mdp_line_up" in metrics
    running.stop()
    check = run_mdp("check", file)
    assert check.wait() == 0
    for text in (running.process.stderr, running.process.stdout, metrics, check.stdout, check.stderr):
        for secret in ("s3cret", "jane", credentials):
            assert secret not in text


def test_proxy_of_the_environment_is_not_used(run: Start, roadside: Callable[..., Roadside]) -> None:
    proxy = roadside(Behaviour.SILENT)
    url = f"http://127.0.0.1:{proxy.port}"
    running = run(env=dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), url))
    running.assert_true_soon_after(running.ids())
    assert proxy.accepted == 0


PROXY_FAULTS = {
    "407": (
        "",
        "CONNECT to {venue} through proxy {proxy}: the proxy refused: 'HTTP/1.1 407 Who': it asks for a user",
    ),
    "407 to credentials": (
        USER_INFO,
        "CONNECT to {venue} through proxy {proxy}: the proxy refused: 'HTTP/1.1 407 Who': it does not accept",
    ),
    "502": ("", "CONNECT to {venue} through proxy {proxy}: the proxy refused: 'HTTP/1.1 502 Bad Gateway'"),
    "silent": ("", "CONNECT to {venue} through proxy {proxy}: (no answer within|timed out after) 300 ms"),
    "absent": ("", "TCP connect to proxy {proxy}: {proxy}: Connection refused"),
}


@pytest.mark.parametrize("fault", PROXY_FAULTS)
def test_proxy_that_does_not_work_is_named_until_it_does(
    sim: SimProcess, run: Start, roadside: Callable[..., Roadside], fault: str
) -> None:
    user_info, message = PROXY_FAULTS[fault]
    proxy = roadside(Behaviour.PROXY)
    message = message.format(venue=f"venue.invalid:{sim.port}", proxy=f"127.0.0.1:{proxy.port}")

    def strike() -> None:
        if fault == "absent":
            proxy.leave()
            return
        answers = {"502": b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "silent": Behaviour.SILENT}
        proxy.behaviour = answers.get(fault, b"HTTP/1.1 407 Who\r\n\r\n")
        proxy.cut()

    def heal() -> None:
        proxy.behaviour = Behaviour.PROXY
        if fault == "absent":
            proxy.listen()

    strike()
    running = run(
        proxy=f"http://{user_info}127.0.0.1:{proxy.port}",
        connect_timeout_ms=300,
        rest_timeout_ms=300,
        **by_name(sim, "venue.invalid"),
    )
    running.told(rf"venue.unreachable venue=binance attempt=2 retry_in_ms=\d+ .*{message}")
    ended = running.ids()
    heal()
    running.assert_true_soon_after(ended)
    strike()
    running.told("book.stale", times=len(SYMBOLS))
    running.told(
        rf"line.down .* reason=(proxy_failed|timeout|connect_failed) detail=\"{message}.* retry_in_ms=\d+"
    )
    ended = running.ids()
    heal()
    running.assert_true_soon_after(ended)
    assert "s3cret" not in running.process.stderr


# ---- DNS ----


def test_name_that_does_not_resolve_is_named_until_stopped(sim: SimProcess, run: Start, hosts: Hosts) -> None:
    running = run(env=hosts.environment, **by_name(sim, "something.invalid"))
    line = running.told("venue.unreachable venue=binance attempt=3 ")
    assert f"resolve something.invalid:{sim.port}: Host not found" in line
    assert re.search(r"retry_in_ms=\d+", line)
    running.stop()


def test_name_that_resolves_again_brings_the_books_back(sim: SimProcess, run: Start, hosts: Hosts) -> None:
    failure = rf"resolve venue\.test:{sim.port}: Host not found"
    running = run(env=hosts.environment, **by_name(sim, "venue.test"))
    running.told(f"venue.unreachable venue=binance attempt=2 .*{failure}")
    ended = running.ids()
    hosts.set(venue_test="127.0.0.1")
    running.assert_true_soon_after(ended)
    hosts.set()
    sim.fault("disconnect", mode="reset")
    running.told(rf"line.down .* reason=resolve_failed detail=\"{failure}.* retry_in_ms=\d+", times=2)
    ended = running.ids()
    hosts.set(venue_test="127.0.0.1")
    running.assert_true_soon_after(ended)


def test_name_server_that_does_not_answer_is_waited_for_only_so_long(
    sim: SimProcess, run: Start, hosts: Hosts
) -> None:
    hosts.set(venue_test="silence")
    running = run(
        env=hosts.environment, connect_timeout_ms=300, rest_timeout_ms=300, **by_name(sim, "venue.test")
    )
    at = f"venue.test:{sim.port}"
    running.told(f"venue.unreachable venue=binance attempt=2 .*resolve {at}: no answer within 300 ms")
    ended = running.ids()
    hosts.set(venue_test="127.0.0.1")
    running.assert_true_soon_after(ended)
    hosts.set(venue_test="silence")
    sim.fault("disconnect", mode="reset")
    running.told(rf"line.down .* reason=timeout detail=\"resolve {at}: timed out after 300 ms", times=2)
    ended = running.ids()
    hosts.set(venue_test="127.0.0.1")
    running.assert_true_soon_after(ended)
    hosts.set(venue_test="silence")
    sim.fault("disconnect", mode="reset")
    running.told(r"line.down .* reason=timeout")
    running.stop()  # and does not wait for an answer, which never comes


def test_venue_that_does_not_resolve_leaves_the_others_alone_and_joins_when_it_does(
    two_families: SimProcess,
    start_mdp: Callable[..., Mdp],
    hosts: Hosts,
    tmp_path: Path,
    segment: str,
) -> None:
    sim = two_families
    books = {"binance": ("spot.test", "BTCUSDT"), "binance-usdm": ("usdm.test", "ETHUSDT")}
    venues = []
    for name, (host, symbol) in books.items():
        there = by_name(sim, host, sim.venues[name]["port"]) | {"name": name, "symbols": [symbol]}
        venues += settings(sim, segment, **there)["venues"]
    config = settings(sim, segment) | {"venues": venues}
    hosts.set(spot_test="127.0.0.1")
    process = start_mdp("run", write_config(tmp_path / "config.yaml", config), env=hosts.environment)
    running = Running(sim, process, segment, {"BTCUSDT": None})
    failure = rf"resolve usdm\.test:{sim.venues['binance-usdm']['port']}: Host not found"
    running.told(f"venue.unreachable venue=binance-usdm attempt=1 .*{failure}")
    running.assert_true_soon_after(running.ids())
    running.told(f"venue.unreachable venue=binance-usdm .*{failure}", times=2)

    running.books = {"ETHUSDT": "binance-usdm"}
    ended = running.ids()
    hosts.set(spot_test="127.0.0.1", usdm_test="127.0.0.1")
    running.assert_true_soon_after(ended)
    hosts.set(spot_test="127.0.0.1")
    sim.fault("disconnect", venue="binance-usdm", mode="reset")
    running.told(rf"line.down .* reason=resolve_failed detail=\"{failure}")
    ended = running.ids()
    hosts.set(spot_test="127.0.0.1", usdm_test="127.0.0.1")
    running.assert_true_soon_after(ended)

    running.books = {"BTCUSDT": None}
    running.assert_true()
    assert running.model.book("BTCUSDT").states == LIVE_ROAD, "it was never disturbed"
    running.stop()


def test_symbol_that_a_late_venue_does_not_list_is_told_and_no_other_concerned(
    two_families: SimProcess,
    start_mdp: Callable[..., Mdp],
    hosts: Hosts,
    tmp_path: Path,
    segment: str,
) -> None:
    sim = two_families
    late = by_name(sim, "usdm.test", sim.venues["binance-usdm"]["port"])
    late |= {"name": "binance-usdm", "symbols": ["ETHUSTD", "ETHUSDT"]}
    config = settings(sim, segment, symbols=["BTCUSDT"])
    config["venues"] += settings(sim, segment, **late)["venues"]
    file = write_config(tmp_path / "config.yaml", config)
    running = Running(sim, start_mdp("run", file, env=hosts.environment), segment, {"BTCUSDT": None})
    running.assert_true_soon_after(running.ids())
    running.books = {"ETHUSDT": "binance-usdm"}
    ended = running.ids()
    hosts.set(usdm_test="127.0.0.1")
    line = running.told("symbol.refused venue=binance-usdm symbol=ETHUSTD ")
    assert "venues[1].symbols[0]: binance-usdm does not list 'ETHUSTD'; did you mean ETHUSDT" in line
    running.assert_true_soon_after(ended)
    running.books = {"BTCUSDT": None}
    running.assert_true()


# ---- IPv6 ----


@pytest.mark.parametrize("address", [NO_ROUTE, "::1"], ids=["no route", "refused"])
def test_ipv6_that_leads_nowhere_leaves_ipv4(sim: SimProcess, run: Start, hosts: Hosts, address: str) -> None:
    hosts.set(venue_test=[address, "127.0.0.1"])
    running = run(env=hosts.environment, **by_name(sim, "venue.test"))
    running.assert_true_soon_after(running.ids())
    assert f"address=127.0.0.1:{sim.port}" in running.process.stderr
    assert "line.down" not in running.process.stderr
    assert "venue.unreachable" not in running.process.stderr


def test_ipv6_alone_without_a_route_is_named_with_address_and_reason(
    sim: SimProcess, run: Start, hosts: Hosts
) -> None:
    hosts.set(venue_test=NO_ROUTE)
    running = run(env=hosts.environment, **by_name(sim, "venue.test"))
    line = running.told("venue.unreachable venue=binance attempt=2 ")
    reasons = (
        "Network is unreachable|Address family not supported by protocol|Cannot assign requested address"
    )
    assert re.search(rf"TCP connect to venue\.test:{sim.port}: \[{NO_ROUTE}\]:{sim.port}: ({reasons})", line)
    ended = running.ids()
    hosts.set(venue_test=[NO_ROUTE, "127.0.0.1"])
    running.assert_true_soon_after(ended)


# ---- certificates ----


def test_authority_that_did_not_sign_is_named_until_the_right_one_did(sim: SimProcess, run: Start) -> None:
    refusal = re.escape(
        f"TLS handshake with 127.0.0.1:{sim.port}: certificate refused: unable to get local issuer "
        f"certificate (expected name 127.0.0.1, CA file {sim.ca_file})"
    )
    sim.fault("tls_certificate", flavour="untrusted", count=0)
    running = run()
    running.told(f"venue.unreachable venue=binance attempt=2 .*{refusal}")
    ended = running.ids()
    sim.clear_faults()
    running.assert_true_soon_after(ended)
    sim.fault("tls_certificate", flavour="untrusted", count=0)
    sim.fault("disconnect", mode="reset")
    running.told(rf"line.down .* reason=tls_failed detail=\"{refusal}", times=2)
    ended = running.ids()
    sim.clear_faults()
    running.assert_true_soon_after(ended)


def test_switching_verification_off_for_the_sim_is_logged(sim: SimProcess, run: Start) -> None:
    sim.fault("tls_certificate", flavour="self-signed", count=0)
    running = run(tls={"insecure_skip_verify": True})
    running.told(rf"tls\.verify_off host=127\.0\.0\.1:{sim.port} reason=insecure_skip_verify")
    running.assert_true_soon_after(running.ids())


# ---- a time-out of its own for every step ----


def test_time_out_of_each_step_to_rest_is_told(
    sim: SimProcess, run: Start, roadside: Callable[..., Roadside]
) -> None:
    house = FullHouse()
    at = f"127.0.0.1:{house.port}"
    running = run(rest_url=f"https://{at}", connect_timeout_ms=300, rest_timeout_ms=300)
    running.told(f"venue.unreachable .*TCP connect to {at}: no answer within 300 ms")
    house.close()
    way = roadside(Behaviour.SILENT, target=sim.port, port=house.port)
    running.told(f"venue.unreachable .*TLS handshake with {at}: no answer within 300 ms")
    sim.fault("snapshot_delay_ms", count=len(SYMBOLS), ms=LONGER_THAN_ANY_TEST_MS)
    way.behaviour = Behaviour.FORWARD
    running.told(rf"snapshot.failed .*headers of GET /\S+ at {at}: no answer within 300 ms", len(SYMBOLS))
    ended = running.ids()
    running.assert_true_soon_after(ended)


def test_time_out_of_each_step_to_the_stream_is_told(
    sim: SimProcess, run: Start, roadside: Callable[..., Roadside]
) -> None:
    house = FullHouse()
    at = f"127.0.0.1:{house.port}"
    running = run(
        ws_url=f"wss://{at}", connect_timeout_ms=300, subscribe_timeout_ms=500, tls={"ca_file": sim.ca_file}
    )
    running.told(
        rf"line.down .* reason=timeout detail=\"TCP connect to {at}: {at}: timed out after 300 ms", 2
    )
    house.close()
    way = roadside(Behaviour.SILENT, target=sim.port, port=house.port)
    running.told(rf"line.down .* reason=timeout detail=\"TLS handshake with {at}: timed out after 300 ms", 2)
    sim.fault("upgrade_stall", count=2)
    # The data would come without an answer too, and a book needs no more.
    sim.fault("drop", count=0)
    sim.fault("subscribe_no_ack", count=0)
    way.behaviour = Behaviour.FORWARD
    running.told(
        rf"line.down .* reason=timeout detail=\"WebSocket upgrade at {at}/\S*: timed out after 300 ms", 2
    )
    running.told(r"line.down .* reason=unanswered detail=\"no answer to subscribe id \d+ within 500 ms", 2)
    assert "book.live" not in running.process.stderr
    ended = running.ids()
    sim.clear_faults()
    running.assert_true_soon_after(ended)


# ---- a stop waits for nobody ----


def test_stop_does_not_wait_for_the_only_venue_to_answer(
    run: Start, roadside: Callable[..., Roadside]
) -> None:
    way = roadside(Behaviour.SILENT)
    running = run(rest_url=f"https://127.0.0.1:{way.port}", rest_timeout_ms=LONGER_THAN_ANY_TEST_MS)
    wait_for(lambda: way.accepted, "a request")
    running.stop()


def test_stop_does_not_wait_for_a_late_venue_to_answer(
    sim: SimProcess,
    start_mdp: Callable[..., Mdp],
    roadside: Callable[..., Roadside],
    tmp_path: Path,
    segment: str,
) -> None:
    way = roadside(Behaviour.SILENT)
    way.leave()
    late = settings(
        sim,
        segment,
        name="binance-usdm",
        rest_url=f"https://127.0.0.1:{way.port}",
        rest_timeout_ms=LONGER_THAN_ANY_TEST_MS,
    )
    config = settings(sim, segment)
    config["venues"] += late["venues"]
    file = write_config(tmp_path / "config.yaml", config)
    running = Running(sim, start_mdp("run", file), segment, dict.fromkeys(SYMBOLS))
    running.assert_true_soon_after(running.ids())
    way.listen()
    wait_for(lambda: way.accepted, "a request")
    running.stop()
