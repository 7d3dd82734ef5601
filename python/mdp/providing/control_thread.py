"""The one thread that calls the engine, and how other threads reach it: by posting functions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from mdp.errors import MdpError

_T = TypeVar("_T")


class ControlThread:
    """Runs posted functions, one after another, and a turn of its own every `interval_s`.

    Parameters
    ----------
    turn
        Called every `interval_s`, and after posted functions ran. An error that it raises ends the thread.
    end
        Called once, as the last thing, whatever ended the thread.
    interval_s
        Seconds between two turns while nothing is posted.
    """

    def __init__(self, turn: Callable[[], None], end: Callable[[], None], interval_s: float) -> None:
        self._turn = turn
        self._end = end
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._posted: deque[tuple[Callable[[], Any], Future[Any]]] = deque()  # under _changed
        self._closed = False  # under _changed: nothing is posted any more
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mdp-control", daemon=True)
        self.failure: BaseException | None = None
        """What ended the thread, if it was not `stop`."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether the caller is this thread."""
        return threading.current_thread() is self._thread

    def post(self, function: Callable[[], _T]) -> Future[_T]:
        """Have `function` called on this thread; the future has its result or its error.

        The future is done after the turn that follows, so what the turn publishes tells of it already. On
        this thread itself the function is called at once. A future of a thread that has ended fails with
        `MdpError`.
        """
        future: Future[_T] = Future()
        if self.is_current:
            _settle(future, *_outcome(function))
            return future
        with self._changed:
            if not self._closed:
                self._posted.append((function, future))
                self._changed.notify()
                return future
        future.set_exception(MdpError("the provider has stopped"))
        return future

    def stop(self) -> None:
        """End after the turn under way and wait for it, unless called on this thread. Idempotent."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        if not self.is_current and self._thread.ident is not None:
            self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until it has ended, `end` included; False when `timeout_s` seconds passed first."""
        return self._ended.wait(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take_turn()
        except BaseException as error:
            self.failure = error
        try:
            self._end()
        except BaseException as error:
            self.failure = self.failure or error
        with self._changed:
            self._closed = True
            left, self._posted = self._posted, deque()
        for _, future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(MdpError("the provider has stopped"))
        self._ended.set()

    def _take_turn(self) -> None:
        with self._changed:
            if not self._posted and not self._stopping.is_set():
                self._changed.wait(self._interval_s)
            calls, self._posted = self._posted, deque()
        outcomes = [
            (future, _outcome(function))
            for function, future in calls
            if future.set_running_or_notify_cancel()
        ]
        try:
            self._turn()
        finally:
            for future, outcome in outcomes:
                _settle(future, *outcome)


def _outcome(function: Callable[[], _T]) -> tuple[_T | None, BaseException | None]:
    try:
        return function(), None
    except BaseException as error:
        return None, error


def _settle(future: Future[Any], result: object, error: BaseException | None) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
