"""mdp_shm.h as its users meet it: a C99 program, and libmdp_shm, which other languages bind."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from mdp import EventType, Subscriber
from mdp._core import record_layouts
from mdp.about import shm_library
from mdp.commands.text import top_line
from mdp.reading.dtypes import EVENT_DTYPE, LEVEL_DTYPE
from support.live import ROOT, LivePublisher, unique_segment

INCLUDE = ROOT / "cpp/include"
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")
OK, EMPTY, LAPPED, STOPPED, DEAD, NO_ROOM = 0, 1, 2, 3, 4, 9
SPIN, YIELD, SLEEP = 0, 1, 2
HOUR_NS = ctypes.c_int64(3_600_000_000_000)
BUSY = 2  # of a book
EVENT_BYTES = 4160
SYMBOLS = ("BTCUSDT", "test:ETHUSDT", "SOLUSDT", "QUIETUSDT")


def compile_c(source: Path, output: Path, *options: str) -> Path:
    command = [os.environ.get("CC", "cc"), "-std=c99", "-O2", *WARNINGS, f"-I{INCLUDE}", *options]
    done = subprocess.run(
        [*command, str(source), "-o", str(output), "-lrt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def publisher() -> Iterator[LivePublisher]:
    with LivePublisher() as live:
        yield live


@pytest.fixture(scope="module")
def top_of_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_c(ROOT / "examples/c/top_of_book.c", tmp_path_factory.mktemp("c") / "top_of_book")


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    """Bind the installed library."""
    bound = ctypes.CDLL(shm_library())
    assert bound.mdp_shm_abi_version() == 1
    for name in ("lag_bytes", "lost_events", "keeper_update_id", "keeper_loads", "keeper_verified"):
        getattr(bound, f"mdp_shm_{name}").restype = ctypes.c_uint64
    for name in ("size_of", "keeper_count"):
        getattr(bound, f"mdp_shm_{name}").restype = ctypes.c_size_t
    for name in ("subscriber_new", "keeper_new"):
        getattr(bound, f"mdp_shm_{name}").restype = ctypes.c_void_p
    bound.mdp_shm_heartbeat_age_ns.restype = ctypes.c_int64
    bound.mdp_shm_attach_status_text.restype = ctypes.c_char_p
    bound.mdp_shm_read_status_text.restype = ctypes.c_char_p
    return bound


@pytest.fixture
def feed(library: ctypes.CDLL) -> Iterator[ctypes.c_void_p]:
    reader = ctypes.c_void_p(library.mdp_shm_subscriber_new())
    yield reader
    library.mdp_shm_subscriber_delete(reader)


def exported() -> list[str]:
    done = subprocess.run(
        ["nm", "-D", "--defined-only", shm_library()], capture_output=True, text=True, check=True
    )
    return sorted(line.split()[2] for line in done.stdout.splitlines() if line.split()[1] != "A")


def test_library_exports_what_the_list_says_and_nothing_else() -> None:
    """A line that goes or changes is another ABI: raise its number; one that comes is an addition."""
    listed = (ROOT / "tests/python/stubs/libmdp_shm.symbols.ref").read_text().split()
    assert exported() == listed


def test_library_exports_every_function_of_the_headers() -> None:
    declared: set[str] = set()
    for header in (INCLUDE / "mdp/shm").glob("mdp_shm*.h"):
        text = header.read_text()
        declared |= set(re.findall(r"^MDP_SHM_(?:API|LIBRARY) [^(]*?(mdp_shm_\w+)\(", text, re.MULTILINE))
    assert {name.split("@")[0] for name in exported()} == declared


def test_library_knows_the_sizes_of_its_types(library: ctypes.CDLL) -> None:
    layouts = record_layouts()
    for number, name in enumerate(
        ("EVENT", "", "LEVEL", "BBO", "TRADE", "BOOK_STATE", "CONNECTION_STATUS", "MARK_PRICE", "LIQUIDATION")
    ):
        size = layouts[f"{name}_DTYPE"][0] if name else EVENT_BYTES
        assert library.mdp_shm_size_of(number) == size, name
    assert [library.mdp_shm_size_of(number) for number in (9, 10, 11, 12)] == [64, 512, 128, 256]
    assert library.mdp_shm_size_of(13) == 0
    assert library.mdp_shm_size_of(-1) == 0


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_c_program_prints_what_the_command_line_prints(
    top_of_book: Path, publisher: LivePublisher, symbol: str
) -> None:
    for steps in (0, 3000):
        publisher.fill(steps)
        done = subprocess.run(
            [top_of_book, publisher.segment, symbol], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == top_line(Subscriber(publisher.segment).book(symbol)) + "\n"


@pytest.mark.parametrize(
    "header", ["mdp_shm.h", "mdp_shm_layout.h", "mdp_shm_os.h", "mdp_shm_book.h", "mdp_shm_library.h"]
)
def test_each_header_compiles_alone(header: str, tmp_path: Path) -> None:
    source = tmp_path / "alone.c"
    source.write_text(f"#include <mdp/shm/{header}>\n")
    compile_c(source, tmp_path / "alone.o", "-c")


def test_c_program_waits_and_attaches_again_and_again(tmp_path: Path) -> None:
    program = compile_c(ROOT / "tests/support/c_reader.c", tmp_path / "c_reader")
    name = unique_segment()
    with subprocess.Popen([program, name, "3"], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout
        for ending in ("stopped", "died", "stopped"):
            with LivePublisher(name) as publisher:
                assert reader.stdout.readline() == f"attached {publisher.process.pid}\n"
                if ending == "died":  # at full speed: the reader may be lapped, and knows what it lost
                    while publisher.rest() < 50_000:
                        publisher.load()
                    publisher.die()
                else:
                    publisher.fill(1000)
                    publisher.stop()
                run = reader.stdout.readline().split(maxsplit=4)
                assert run[0] == "run"
                assert run[4] == f"the publisher {ending}\n"
                assert int(run[1]) + int(run[3]) == publisher.events
                assert (run[2] == "0") == (run[3] == "0"), "nothing is lost without a lap"
        assert reader.wait(60) == 0


def test_c_program_says_what_is_wrong(top_of_book: Path, publisher: LivePublisher) -> None:
    for arguments, code, message in (
        ([], 2, "usage"),
        (["mdp-no-such-segment", "X"], 1, "no such segment"),
        (["a/b", "X"], 1, "bad segment name"),
        ([publisher.segment, "NOSUCH"], 1, "no such instrument"),
    ):
        done = subprocess.run([top_of_book, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert message in done.stderr


def test_bound_library_reads_the_same_events(
    library: ctypes.CDLL, feed: ctypes.c_void_p, publisher: LivePublisher
) -> None:
    event = ctypes.create_string_buffer(EVENT_BYTES)
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    assert library.mdp_shm_open(feed, publisher.segment.encode()) == OK
    library.mdp_shm_start_oldest(feed)
    publisher.fill(500)
    batch = subscriber.poll(10_000)
    assert len(batch) == publisher.events
    for row in range(len(batch)):
        assert library.mdp_shm_poll(feed, event) == OK
        assert event.raw[: EVENT_DTYPE.itemsize] == batch.headers[row].tobytes()
        levels = batch.levels[batch.level_offset[row] : batch.level_offset[row + 1]].tobytes()
        assert event.raw[EVENT_DTYPE.itemsize :][: len(levels)] == levels
    assert library.mdp_shm_poll(feed, event) == EMPTY
    assert library.mdp_shm_lag_bytes(feed) == 0
    publisher.fill(20_000)
    assert library.mdp_shm_poll(feed, event) == LAPPED
    publisher.stop()
    while (status := library.mdp_shm_poll(feed, event)) == OK:
        pass
    assert status == STOPPED


def test_bound_library_joins_late_without_gap_or_duplicate(
    library: ctypes.CDLL, feed: ctypes.c_void_p
) -> None:
    event = ctypes.create_string_buffer(EVENT_BYTES)
    entry = ctypes.create_string_buffer(128)
    bids, asks = (ctypes.create_string_buffer(20 * LEVEL_DTYPE.itemsize) for _ in range(2))

    def header(field: str) -> int:
        kind, offset = EVENT_DTYPE.fields[field]  # type: ignore[index]
        return int.from_bytes(event.raw[offset : offset + kind.itemsize], "little")

    with LivePublisher(ring_bytes=16 << 20) as publisher:
        assert library.mdp_shm_open(feed, publisher.segment.encode()) == OK
        publisher.load()
        joins = 0
        while joins < 200:
            symbol_id = joins % 3
            joined = library.mdp_shm_join(feed, symbol_id, entry, bids, asks, 20)
            if joined == BUSY:  # the publisher lost its core inside the entry
                continue
            assert joined == OK
            update_id = int.from_bytes(entry.raw[16:24], "little")
            followed, status = 0, OK
            while followed < 5 and status != LAPPED:  # lapped: this process did not run, and was told
                status = library.mdp_shm_poll(feed, event)
                assert status in (OK, EMPTY, LAPPED)
                if (
                    status == OK
                    and header("symbol_id") == symbol_id
                    and header("type") == EventType.BOOK_DELTA.value
                ):
                    update_id += 1
                    assert header("update_id") == update_id, f"join {joins}"
                    followed += 1
            joins += status != LAPPED
        publisher.rest()


def test_bound_library_finds_a_publisher_that_was_started_again(
    library: ctypes.CDLL, feed: ctypes.c_void_p
) -> None:
    event = ctypes.create_string_buffer(EVENT_BYTES)
    with LivePublisher() as first:
        assert library.mdp_shm_open(feed, first.segment.encode()) == OK
        assert library.mdp_shm_check_publisher(feed, ctypes.c_int64(60_000_000_000)) == EMPTY
        assert library.mdp_shm_reattach(feed) != OK, "it is still the same"
    assert library.mdp_shm_check_publisher(feed, ctypes.c_int64(60_000_000_000)) == STOPPED
    assert b"no such segment" in library.mdp_shm_attach_status_text(library.mdp_shm_reattach(feed))
    with LivePublisher(first.segment) as second:
        second.fill(10)
        assert library.mdp_shm_reattach(feed) == OK
        assert library.mdp_shm_poll(feed, event) == OK
        assert int.from_bytes(event.raw[16:24], "little") == 0, "its first event"


def test_bound_library_waits_follows_and_judges(
    library: ctypes.CDLL, feed: ctypes.c_void_p, publisher: LivePublisher
) -> None:
    event = ctypes.create_string_buffer(EVENT_BYTES)
    entry = ctypes.create_string_buffer(128)
    bids, asks = (ctypes.create_string_buffer(20 * LEVEL_DTYPE.itemsize) for _ in range(2))
    assert library.mdp_shm_open(feed, publisher.segment.encode()) == OK
    for how in (SPIN, YIELD, SLEEP):
        assert library.mdp_shm_wait(feed, event, how, ctypes.c_int64(1_000_000), HOUR_NS) == EMPTY
    assert library.mdp_shm_follow(feed, 1, entry, bids, asks, 20) == OK
    publisher.fill(300)
    headers = Subscriber(publisher.segment, from_oldest=True).poll(10_000).headers
    deltas = 0
    while library.mdp_shm_wait(feed, event, SLEEP, ctypes.c_int64(1_000_000), HOUR_NS) == OK:
        assert int.from_bytes(event.raw[8:12], "little") == 1
        deltas += event.raw[2] == EventType.BOOK_DELTA.value
    of_delta = headers["type"] == EventType.BOOK_DELTA.value
    assert deltas == int(((headers["symbol_id"] == 1) & of_delta).sum()) > 0
    library.mdp_shm_follow_all(feed)
    seen: list[int] = []
    handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(
        lambda of, _: seen.append(int.from_bytes(ctypes.string_at(of, 24)[16:24], "little"))
    )
    count = ctypes.c_size_t()
    library.mdp_shm_start_oldest(feed)
    assert library.mdp_shm_poll_batch(feed, ctypes.c_size_t(100), ctypes.byref(count), handler, None) == OK
    assert count.value == 100
    assert seen == list(range(100))
    publisher.die()
    while library.mdp_shm_poll(feed, event) == OK:
        pass
    status = library.mdp_shm_wait(feed, event, SLEEP, HOUR_NS, ctypes.c_int64(1_000_000))
    assert status == DEAD, library.mdp_shm_read_status_text(status)
    assert library.mdp_shm_heartbeat_age_ns(feed) > 0


def test_bound_library_fills_a_buffer_with_whole_records(
    library: ctypes.CDLL, feed: ctypes.c_void_p, publisher: LivePublisher
) -> None:
    assert library.mdp_shm_open(feed, publisher.segment.encode()) == OK
    publisher.fill(500)
    library.mdp_shm_start_oldest(feed)
    batch = Subscriber(publisher.segment, from_oldest=True).poll(10_000)
    records, used = ctypes.c_size_t(), ctypes.c_size_t()
    small = ctypes.create_string_buffer(EVENT_BYTES - 8)
    poll = library.mdp_shm_poll_records
    arguments = ctypes.byref(records), ctypes.byref(used)
    assert poll(feed, small, ctypes.c_size_t(len(small)), *arguments) == NO_ROOM
    buffer = ctypes.create_string_buffer(3 * EVENT_BYTES)
    row, status = 0, OK
    while status == OK:
        status = poll(feed, buffer, ctypes.c_size_t(len(buffer)), *arguments)
        at = 0
        for _ in range(records.value):
            header = batch.headers[row]
            assert buffer.raw[at : at + 64] == header.tobytes()
            levels = batch.levels[batch.level_offset[row] : batch.level_offset[row + 1]].tobytes()
            assert buffer.raw[at + 64 :][: len(levels)] == levels
            at += 64 * int(header["size_lines"])
            row += 1
        assert at == used.value
    assert status == EMPTY
    assert row == len(batch) == publisher.events


def test_bound_library_keeps_a_book(
    library: ctypes.CDLL, feed: ctypes.c_void_p, publisher: LivePublisher
) -> None:
    event = ctypes.create_string_buffer(EVENT_BYTES)
    level = (ctypes.c_int64 * 2)()
    book = ctypes.c_void_p(library.mdp_shm_keeper_new())
    assert library.mdp_shm_open(feed, publisher.segment.encode()) == OK
    assert library.mdp_shm_keeper_usable(book) == 0
    publisher.fill(200)
    assert library.mdp_shm_keeper_follow(book, feed, 99) == 1, "no such instrument"
    assert library.mdp_shm_keeper_follow(book, feed, 1) == OK
    publisher.fill(200)
    while (status := library.mdp_shm_keeper_poll(book, feed, event)) == OK:
        assert int.from_bytes(event.raw[8:12], "little") == 1
    assert status == EMPTY
    published = Subscriber(publisher.segment).book(1)
    assert library.mdp_shm_keeper_update_id(book) == published.update_id
    assert library.mdp_shm_keeper_usable(book) == 1
    for side, levels in enumerate((published.bids.tolist(), published.asks.tolist())):
        count = min(library.mdp_shm_keeper_count(book, side), len(levels))
        assert count > 3
        for index in range(count):
            assert library.mdp_shm_keeper_level(book, side, ctypes.c_size_t(index), level) == 1
            assert list(level) == levels[index]
    publisher.fill(20_000)
    assert library.mdp_shm_keeper_poll(book, feed, event) == LAPPED
    assert library.mdp_shm_lost_events(feed) > 0
    assert library.mdp_shm_keeper_loads(book) == 2
    assert library.mdp_shm_keeper_update_id(book) == Subscriber(publisher.segment).book(1).update_id
    library.mdp_shm_keeper_delete(book)
