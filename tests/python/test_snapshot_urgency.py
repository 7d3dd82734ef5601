"""Which book's snapshot goes first, and which one's waits longer and longer; the clock is the test's."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp import StateReason
from mdp.providing.snapshots import Failure, LiveSpan, RestBudget, SnapshotScheduler, Urgency, Wish
from python.test_snapshots import fails, scheduler, want_again

# ---- who goes first ----


def test_the_more_urgent_goes_first_whenever_it_came() -> None:
    s = scheduler(max_in_flight=1)
    now = fails(s, 4, 0.0)
    s.want(4)
    s.want(5, Wish.WIDEN_SOON)
    s.want(3)
    s.want(30)
    s.want(2, Wish.WIDEN)
    want_again(s, 1)
    now += s.wait_s(4, now)
    taken, urgencies = [], []
    while s.waiting:
        (symbol_id,) = s.take(now)
        taken.append(symbol_id)
        urgencies.append(s.urgency(symbol_id, now))
        s.succeeded(symbol_id, now)
    assert taken == [1, 2, 3, 30, 5, 4]
    first = [Urgency.FIRST, Urgency.FIRST]
    assert urgencies == [Urgency.RESYNC, Urgency.WIDEN, *first, Urgency.WIDEN_SOON, Urgency.AGAIN]
    assert urgencies == sorted(urgencies)


def test_each_urgency_leaves_weight_and_places_to_those_before_it() -> None:
    s, now = scheduler(weight_per_minute=1000, weight=10, reserve=0.0, max_in_flight=10), 0.0
    for symbol_id in range(100, 120):
        now = fails(s, symbol_id, now + 60)
    now += 60
    for symbol_id in range(100, 120):
        s.want(symbol_id)
    assert len(s.take(now)) == 5, "half of the places"
    for symbol_id in range(200, 210):
        s.want(symbol_id)
    assert len(s.take(now)) == 5, "a book that is new takes the other half"
    assert s.take(now) == []

    spent = scheduler(weight_per_minute=1000, weight=10, reserve=0.0, max_in_flight=1000)
    for urgency, weight in [
        (Urgency.AUDIT, 500),
        (Urgency.AGAIN, 500),
        (Urgency.WIDEN_SOON, 650),
        (Urgency.FIRST, 850),
        (Urgency.WIDEN, 850),
        (Urgency.RESYNC, 1000),
    ]:
        spent.budget.spend(weight - 10 - sum(weight for _, weight in spent.budget._spent), 0.0)
        assert spent.admits(urgency, 0.0), urgency
        spent.budget.spend(10, 0.0)
        assert not spent.admits(urgency, 0.0), urgency


def test_a_request_that_is_large_beside_the_budget_goes_out_when_nothing_else_did() -> None:
    s = scheduler(weight_per_minute=100, weight=90)
    s.want(1)
    assert s.take(0.0) == [1]
    s.succeeded(1, 0.0)
    s.want(2)
    assert s.take(59.0) == []
    assert s.take(60.0) == [2]
    assert scheduler(weight_per_minute=100, weight=101).admits(Urgency.RESYNC, 0.0) is False


def test_a_book_that_asks_all_the_time_is_not_urgent_whatever_its_reason() -> None:
    s = scheduler()
    for number in range(6):
        now = number * 5.0
        s.saw(1, LiveSpan(number, 5.0, StateReason.DISCONNECTED))
        s.want(1)
        assert s.urgency(1, now) in (Urgency.FIRST, Urgency.RESYNC)
        assert s.take(now) == [1]
        s.succeeded(1, now)
    s.want(1)
    assert s.urgency(1, 30.0) is Urgency.AGAIN, "six in a minute"
    assert s.urgency(1, 60.0) is Urgency.RESYNC, "the first is a minute old"


# ---- to widen a LIVE book ----


def test_a_book_to_be_widened_that_leaves_live_is_synced_instead() -> None:
    s = scheduler(max_in_flight=1)
    s.want(1, Wish.WIDEN)
    s.want(1)
    assert s.waiting == 1
    s.want(1, Wish.WIDEN)
    assert s.take(0.0) == [1]
    assert s.under_way(1) is Wish.SYNC
    s.succeeded(1, 0.0)
    assert s.under_way(1) is None
    # And one that is under way may be too old for the sync: then it is another.
    s.want(1, Wish.WIDEN)
    assert s.take(1.0) == [1]
    assert s.under_way(1) is Wish.WIDEN
    s.want(1)
    s.want(1, Wish.WIDEN)
    s.succeeded(1, 1.0)
    assert s.take(2.0) == [1]
    assert s.under_way(1) is Wish.SYNC


def test_what_it_is_for_decides_whether_it_is_still_wanted() -> None:
    s = scheduler()
    s.want(1, Wish.WIDEN)
    s.want(2)
    asked: list[tuple[int, Wish]] = []
    assert s.take(0.0, lambda *what: bool(asked.append(what))) == []
    assert asked == [(1, Wish.WIDEN), (2, Wish.SYNC)]


def test_widening_says_nothing_of_the_sync_before_it() -> None:
    s = scheduler()
    s.want(1)
    s.take(0.0)
    s.succeeded(1, 0.0)
    for number in range(3):
        now = 10.0 * (number + 1)
        s.want(1, Wish.WIDEN)
        assert s.take(now) == [1]
        s.succeeded(1, now)
    s.saw(1, LiveSpan(1, 1.0, StateReason.CROSSED))
    s.want(1)
    assert s.misses(1) == 1, "and takes the verdict on it from nobody"


def test_a_market_that_falls_widens_many_books_and_leaves_weight_for_a_sync() -> None:
    s = scheduler(max_in_flight=200)
    for symbol_id in range(200):
        s.want(symbol_id, Wish.WIDEN)
    assert len(s.take(0.0)) == 102, "85 % of 6000 in fifties"
    want_again(s, 500)
    assert s.take(0.0) == [500]


def test_books_with_room_leave_a_third_of_the_weight_and_a_place_to_those_without() -> None:
    s = scheduler()
    for symbol_id in range(200):
        s.want(symbol_id, Wish.WIDEN_SOON)
    assert s.take(0.0) == [0, 1, 2], "of four places"
    s = scheduler(max_in_flight=200)
    for symbol_id in range(200):
        s.want(symbol_id, Wish.WIDEN_SOON)
    assert len(s.take(0.0)) == 78, "65 % of 6000 in fifties"
    for symbol_id in range(100, 104):
        s.want(symbol_id, Wish.WIDEN)
    s.want(500)
    assert s.take(0.0) == [100, 101, 102, 103, 500], "the room of four has become short while they waited"


@pytest.mark.parametrize("soon_first", [True, False])
def test_a_wish_becomes_more_urgent_while_it_waits_never_less(soon_first: bool) -> None:
    s = scheduler()
    for wish in (Wish.WIDEN_SOON, Wish.WIDEN) if soon_first else (Wish.WIDEN, Wish.WIDEN_SOON):
        s.want(1, wish)
    assert s.urgency(1, 0.0) is Urgency.WIDEN
    assert s.waiting == 1
    s.want(1)
    assert s.urgency(1, 0.0) is Urgency.FIRST
    s.want(1, Wish.WIDEN_SOON)
    assert s.take(0.0) == [1]
    assert s.under_way(1) is Wish.SYNC


def test_a_book_is_widened_once_a_second_at_most_and_with_room_once_in_five() -> None:
    """The need is told a hundred times a second, for as long as there is one."""
    for wish, times in [(Wish.WIDEN, 60), (Wish.WIDEN_SOON, 12)]:
        s, taken = scheduler(), []
        for tick in range(6000):
            now = tick / 100
            s.want(1, wish)
            if s.take(now) == [1]:
                taken.append(now)
            elif taken and now - taken[-1] >= 0.1 and s.under_way(1):
                s.succeeded(1, now)
        every = 60 / times
        assert times * 0.8 <= len(taken) <= times
        assert all(later - earlier >= every for earlier, later in pairwise(taken))
    # One whose room becomes short does not wait for the five seconds.
    s = scheduler()
    s.want(1, Wish.WIDEN_SOON)
    assert s.take(0.0) == [1]
    s.want(1, Wish.WIDEN)
    s.succeeded(1, 0.0)
    assert s.waiting == 0, "the one under way may be enough; if not, it is told again"
    s.want(1, Wish.WIDEN_SOON)
    assert s.take(1.0) == []
    s.want(1, Wish.WIDEN)
    assert s.take(1.0) == [1]
    s.succeeded(1, 1.0)
    s.want(1)
    assert s.take(1.0) == [1], "and a sync for neither"


def test_a_book_that_was_widened_all_the_time_is_synced_as_urgently_as_any() -> None:
    s = scheduler()
    for second in range(1, 40):
        s.want(1, Wish.WIDEN)
        assert s.urgency(1, float(second)) is Urgency.WIDEN
        assert s.take(float(second)) == [1]
        s.succeeded(1, float(second))
    want_again(s, 1)
    assert s.urgency(1, 39.0) is Urgency.RESYNC


def test_a_book_that_lasts_by_now_is_widened_as_urgently_as_any() -> None:
    s = scheduler()
    now = fails(s, 1, 0.0, times=4)
    s.want(1, Wish.WIDEN)
    assert s.misses(1) == 3
    assert s.urgency(1, now + 7.9) is Urgency.AGAIN
    assert s.urgency(1, now + 8.0) is Urgency.WIDEN
    s.want(1)
    assert s.urgency(1, now + 8.0) is Urgency.AGAIN


# ---- syncs that do not last ----

DISPROVED = [
    StateReason.AUDIT_MISMATCH,
    StateReason.CROSSED,
    StateReason.PARSE_ERROR,
    StateReason.CHECKSUM_MISMATCH,
]


def synced_for(
    s: SnapshotScheduler,
    symbol_id: int,
    now: float,
    number: int,
    seconds: float,
    reason: StateReason,
    moved_on: bool = True,
) -> float:
    """One sync of a book that was LIVE for so long; returns when its snapshot was fetched."""
    s.want(symbol_id)
    now += s.wait_s(symbol_id, now)
    assert s.take(now) == [symbol_id]
    s.succeeded(symbol_id, now)
    s.saw(symbol_id, LiveSpan(number, seconds, reason, moved_on))
    return now


@pytest.mark.parametrize("reason", DISPROVED)
def test_a_book_that_is_disproved_again_and_again_waits_longer_and_longer(reason: StateReason) -> None:
    s = scheduler(max_wait_s=300.0)
    at = [0.0]
    for number in range(1, 16):
        at.append(synced_for(s, 1, at[-1] + 0.3, number, 0.3, reason))
    waits = [later - earlier for earlier, later in pairwise(at[1:])]
    for wait, step in zip(waits, [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300], strict=True):
        assert step / 2 <= wait <= max(step, 0.3)


@pytest.mark.parametrize(
    ("reason", "seconds", "lasted"),
    [
        *((reason, 4.9, False) for reason in DISPROVED),
        *((reason, 5.0, True) for reason in DISPROVED),
        (StateReason.GAP, 0.0, True),
        (StateReason.DISCONNECTED, 0.0, True),
        (StateReason.SILENT, 0.0, True),
        (StateReason.REQUESTED, 0.0, True),
    ],
)
def test_how_long_a_sync_must_last_depends_on_what_ended_it(
    reason: StateReason, seconds: float, lasted: bool
) -> None:
    s = scheduler()
    now = synced_for(s, 1, 0.0, 1, seconds, reason)
    s.want(1)
    assert s.misses(1) == (0 if lasted else 1)
    assert s.urgency(1, now) is (Urgency.RESYNC if lasted else Urgency.FIRST)


def test_a_gap_at_the_first_update_after_a_sync_means_that_it_was_joined_wrong() -> None:
    s, at = scheduler(), [0.0]
    for number in range(1, 12):
        at.append(synced_for(s, 1, at[-1], number, 0.1, StateReason.GAP, moved_on=False))
    assert s.misses(1) == 10
    assert at[-1] > 100
    # On a lossy line each sync brings the book forward: it is right as long as it lasts.
    for number in range(12, 30):
        synced_for(s, 1, at[-1], number, 0.1, StateReason.GAP)
    s.want(1)
    assert s.misses(1) == 0


def test_the_longer_it_had_to_wait_the_longer_it_must_last_up_to_a_minute() -> None:
    for misses, least_s in [(1, 5), (2, 5), (3, 8), (4, 16), (5, 32), (6, 60), (12, 60)]:
        for seconds, left in [(least_s - 0.1, misses + 1), (least_s, 0)]:
            s, now = scheduler(), 0.0
            for number in range(1, misses + 1):
                now = synced_for(s, 1, now, number, 0.1, StateReason.AUDIT_MISMATCH)
            synced_for(s, 1, now, misses + 1, seconds, StateReason.AUDIT_MISMATCH)
            s.want(1)
            assert s.misses(1) == left, (misses, seconds)


def test_a_snapshot_that_no_sync_came_of_counts_and_is_counted_once() -> None:
    s = scheduler()
    now = synced_for(s, 1, 0.0, 1, 3600.0, StateReason.GAP)
    now = synced_for(s, 1, now + 3600.0, 1, 3600.0, StateReason.GAP)  # crossed when joined: still its first
    assert s.misses(1) == 0
    for _ in range(3):
        s.want(1)
    assert s.misses(1) == 1
    assert s.take(now) == []
    now += s.wait_s(1, now)
    assert s.take(now) == [1]
    for _ in range(3):  # too old for the book already: noted while it is under way
        s.want(1)
    assert s.misses(1) == 1
    s.succeeded(1, now)
    assert s.misses(1) == 2


def test_what_cannot_be_read_waits_as_what_does_not_last() -> None:
    s, now = scheduler(max_retry_s=30.0, max_wait_s=300.0), 0.0
    for step in [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]:
        s.want(1)
        assert s.take(now) == [1]
        delay = s.failed(1, now, whose=Failure.BOOK)
        assert step / 2 <= delay <= step
        now += delay
    assert s.urgency(1, now) is Urgency.AGAIN
    # No answer is not the book's fault.
    assert s.take(now) == [1]
    assert s.failed(1, now) <= 0.5
    assert s.misses(1) == 12


def test_a_symbol_that_the_venue_does_not_know_is_asked_rarely_until_it_does() -> None:
    s, now = scheduler(max_wait_s=300.0), 0.0
    for _ in range(3):
        s.want(1)
        assert s.take(now) == [1]
        assert 150 <= s.failed(1, now, whose=Failure.SYMBOL) <= 300
        assert s.urgency(1, now) is Urgency.AGAIN
        now += s.wait_s(1, now)
    assert s.take(now) == [1]
    s.succeeded(1, now)
    s.want(1)
    assert s.urgency(1, now) is Urgency.FIRST
    s.ask_rarely(2)
    s.want(2)
    assert s.urgency(2, now) is Urgency.AGAIN


def test_whoever_asks_for_a_sync_by_hand_does_not_wait_for_minutes() -> None:
    s = scheduler()
    now = fails(s, 1, 0.0, times=12)
    s.want(1)
    assert s.wait_s(1, now) > 100
    s.pardon(1)
    assert s.urgency(1, now + 60) is Urgency.FIRST
    assert s.take(now + 0.5) == [1]
    s.want(2)
    s.take(now + 60)
    s.failed(2, now + 60, whose=Failure.SYMBOL)
    s.pardon(2)
    assert s.take(now + 60) == [2]


def test_books_that_cannot_be_right_keep_no_healthy_one_waiting() -> None:
    """An hour of three books whose quote never agrees, one that is right loses a delta each 37 s."""
    s = scheduler()
    bad, healthy = (1, 2, 3), 9
    spans = dict.fromkeys((*bad, healthy), 0)
    live_since: dict[int, float] = {}
    fetched: dict[int, list[float]] = {symbol_id: [] for symbol_id in spans}
    for symbol_id in spans:
        s.want(symbol_id)
    waited: list[int] = []  # ticks
    lost_at: int | None = None
    for tick in range(36_000):
        now = tick / 10
        for symbol_id in s.take(now):
            fetched[symbol_id].append(now)
            s.succeeded(symbol_id, now)
            live_since[symbol_id] = now
            if symbol_id == healthy and lost_at is not None:
                waited.append(tick - lost_at)
                lost_at = None
        for symbol_id, since in list(live_since.items()):
            lost = now - since >= 0.4 if symbol_id in bad else tick % 370 == 369
            if lost:
                del live_since[symbol_id]
                spans[symbol_id] += 1
                reason = StateReason.AUDIT_MISMATCH if symbol_id in bad else StateReason.GAP
                s.saw(symbol_id, LiveSpan(spans[symbol_id], now - since, reason))
                s.want(symbol_id)
                if symbol_id == healthy:
                    lost_at = tick
    assert len(waited) == 97
    assert max(waited) == 1, "the next look at the wishes"
    for symbol_id in bad:
        # Ten until the wait is five minutes, and one in each two and a half to five minutes of the rest.
        assert len(fetched[symbol_id]) <= 10 + 24
        assert fetched[symbol_id][-1] > 3000, "it is never given up"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["want", "widen", "soon", "saw", "take", "ok", "fail", "bad", "unknown", "pardon"]
            ),
            st.integers(0, 7),
            st.floats(0, 30, allow_nan=False),
        ),
        max_size=80,
    )
)
def test_nobody_goes_before_one_that_is_more_urgent_and_due(steps: list[tuple[str, int, float]]) -> None:
    s = SnapshotScheduler(RestBudget(1000, 0.0), 100, max_in_flight=3, rng=random.Random(0))
    now, spans = 0.0, 0
    for what, symbol_id, seconds in steps:
        now += seconds
        if what == "want":
            s.want(symbol_id)
        elif what == "widen":
            s.want(symbol_id, Wish.WIDEN)
        elif what == "soon":
            s.want(symbol_id, Wish.WIDEN_SOON)
        elif what == "saw":
            spans += 1
            s.saw(symbol_id, LiveSpan(spans, seconds, StateReason.CROSSED))
        elif what == "pardon":
            s.pardon(symbol_id)
        elif what == "take":
            due = {id_: s.urgency(id_, now) for id_ in s._waiting if s.wait_s(id_, now) == 0}
            before = s.waiting + s.in_flight
            taken = [due.pop(id_) for id_ in s.take(now)]
            assert s.waiting + s.in_flight == before, "nothing is lost"
            assert taken == sorted(taken)
            assert not taken or not due or taken[-1] <= min(due.values())
            assert not due or not s.admits(min(due.values()), now), "whoever may go goes"
        elif s.under_way(symbol_id) is not None:
            if what == "ok":
                s.succeeded(symbol_id, now)
            else:
                whose = {"bad": Failure.BOOK, "unknown": Failure.SYMBOL}.get(what, Failure.VENUE)
                assert 0 < s.failed(symbol_id, now, whose=whose) <= 300
        assert s.in_flight <= 3
