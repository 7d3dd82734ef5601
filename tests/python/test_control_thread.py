"""The control thread: posted functions, turns, what ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from mdp.errors import MdpError
from mdp.providing.control_thread import ControlThread


class Seen:
    """Counts turns and the end, and what thread they were on."""

    def __init__(self) -> None:
        self.turns = 0
        self.ends = 0
        self.threads: set[int] = set()
        self.error: Exception | None = None

    def turn(self) -> None:
        self.turns += 1
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error

    def end(self) -> None:
        self.ends += 1
        self.threads.add(threading.get_ident())


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def control(seen: Seen) -> Iterator[ControlThread]:
    control = ControlThread(seen.turn, seen.end, 3600.0)  # no turn but those that a post brings
    yield control
    control.stop()


def test_functions_run_in_order_on_its_thread_alone(control: ControlThread, seen: Seen) -> None:
    control.start()
    order: list[int] = []

    def note(number: int) -> int:
        seen.threads.add(threading.get_ident())
        order.append(number)
        return number * number

    futures = [control.post(lambda number=number: note(number)) for number in range(100)]
    assert [future.result(10) for future in futures] == [number * number for number in range(100)]
    assert order == list(range(100))
    control.stop()
    assert seen.ends == 1
    assert len(seen.threads) == 1
    assert threading.get_ident() not in seen.threads


def test_a_turn_follows_before_the_future_is_done(control: ControlThread, seen: Seen) -> None:
    control.start()
    turns_before = control.post(lambda: seen.turns).result(10)
    assert seen.turns > turns_before


def test_turns_come_by_themselves(seen: Seen) -> None:
    enough = threading.Event()

    def turn() -> None:
        seen.turn()
        if seen.turns >= 3:
            enough.set()

    control = ControlThread(turn, seen.end, 0.001)
    control.start()
    assert enough.wait(10)
    control.stop()


def test_an_error_of_a_function_is_its_future_s_alone(control: ControlThread) -> None:
    control.start()
    with pytest.raises(ZeroDivisionError):
        control.post(lambda: 1 // 0).result(10)
    assert control.post(lambda: "on it goes").result(10) == "on it goes"
    assert control.failure is None


def test_what_is_posted_on_the_thread_itself_runs_at_once(control: ControlThread) -> None:
    control.start()

    def outer() -> tuple[bool, str]:
        inner: Future[str] = control.post(lambda: "inner")
        return inner.done(), inner.result(0)

    assert control.post(outer).result(10) == (True, "inner")


def test_after_the_end_nothing_is_taken(control: ControlThread, seen: Seen) -> None:
    control.start()
    control.stop()
    control.stop()
    with pytest.raises(MdpError, match="the provider has stopped"):
        control.post(lambda: None).result(10)
    assert control.wait(0)
    assert seen.ends == 1


def test_stop_from_the_thread_itself_ends_it(control: ControlThread, seen: Seen) -> None:
    control.start()
    control.post(control.stop).result(10)
    assert control.wait(10)
    assert seen.ends == 1


def test_an_error_of_a_turn_ends_it_and_what_waits_is_told(control: ControlThread, seen: Seen) -> None:
    seen.error = ValueError("a turn that fails")
    control.start()
    assert control.post(lambda: 1).result(10) == 1
    assert control.wait(10)
    assert control.failure is seen.error
    assert seen.ends == 1
    with pytest.raises(MdpError, match="stopped"):
        control.post(lambda: None).result(10)


def test_stop_before_start_is_nothing(seen: Seen) -> None:
    ControlThread(seen.turn, seen.end, 1.0).stop()
    assert seen.ends == 0
