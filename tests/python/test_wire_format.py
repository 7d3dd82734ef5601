"""docs/wire-format.md under full load: a reader written from it alone joins and follows."""

from __future__ import annotations

import re
import signal

from mdp import Subscriber
from python.wire_format_reader import LappedError, Segment
from support.live import ROOT, LivePublisher, wait_until

BOOK_DELTA = 1
BOOK_STATE = 5


def follow(segment: Segment, symbol_id: int, deltas: int) -> int:
    """Join an instrument, check its next deltas and every sequence number; return how many events."""
    book = segment.book(symbol_id)
    position, sequence, update_id = book.ring_position, book.next_sequence, book.update_id
    followed = 0
    while followed < deltas:
        for event in segment.events(position):
            assert event.sequence == sequence
            sequence += 1
            position = event.position + event.size
            if (event.symbol_id, event.type) != (symbol_id, BOOK_DELTA):
                continue
            update_id += 1
            assert event.update_id == update_id, "a gap or a duplicate behind the book"
            assert all(level.quantity >= 0 for side in event.levels() for level in side)
            followed += 1
            if followed == deltas:
                break
    return sequence - book.next_sequence


def test_reader_by_the_document_finds_the_state_of_each_book() -> None:
    with LivePublisher() as publisher:
        publisher.fill(10)
        segment = Segment(publisher.segment)
        states = {event.symbol_id: event.state() for event in segment.events(0) if event.type == BOOK_STATE}
        segment.close()
    assert states == dict.fromkeys(range(4), "LIVE")


def test_reader_by_the_document_joins_a_working_publisher() -> None:
    with LivePublisher(ring_bytes=64 << 20) as publisher:
        publisher.load()
        segment = Segment(publisher.segment)
        joins = laps = events = 0
        while joins < 100:
            try:
                events += follow(segment, joins % 3, 5)
                joins += 1
            except LappedError:  # this process was not scheduled for a while, and was told
                laps += 1
        assert segment.state == 1, "it is running"
        publisher.rest()
        segment.close()
    print(f"{joins} joins by the document alone, {events} events, {laps} laps")


def test_reader_by_the_document_judges_the_publisher_as_the_library_does() -> None:
    publisher = LivePublisher()
    segment, library = Segment(publisher.segment), Subscriber(publisher.segment)

    def both_say(status: str) -> None:
        wait_until(lambda: segment.publisher() == status, status)
        assert library.publisher_status().name.lower() == status

    with publisher:
        both_say("running")
        publisher.process.send_signal(signal.SIGSTOP)
        both_say("silent")
        publisher.process.send_signal(signal.SIGCONT)
        both_say("running")
        publisher.die()
        both_say("dead")
        with LivePublisher(publisher.segment) as successor:
            both_say("replaced")
            second = Segment(publisher.segment)
            assert second.generation != segment.generation
            assert second.publisher() == "running"
            successor.stop()
            assert second.publisher() == "stopped"
            second.close()
    segment.close()


# The pid is for people, and so is the wall clock: the reader by the document imports neither kill() nor
# time.time(), and the headers that all other readers are made of name neither.
def test_no_reader_goes_by_pid_or_wall_clock() -> None:
    headers = (ROOT / "cpp/include/mdp/shm").glob("*.h*")
    words = re.compile(r"\bkill\(|CLOCK_REALTIME|system_clock|GetSystemTime|OpenProcess|process_exists")
    assert [path.name for path in headers if words.search(path.read_text())] == []
