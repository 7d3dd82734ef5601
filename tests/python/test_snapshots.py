"""Which snapshot is fetched when: urgency, budget, waits, the venue's own word; the clock is the test's."""

from __future__ import annotations

import itertools
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp import StateReason
from mdp.snapshots import (
    AuditScheduler,
    Failure,
    LiveSpan,
    RestBudget,
    SnapshotScheduler,
    Urgency,
    Wish,
)


def scheduler(weight_per_minute: int = 6000, weight: int = 50, **options: Any) -> SnapshotScheduler:
    budget = RestBudget(weight_per_minute, options.pop("reserve", 0.1))
    return SnapshotScheduler(budget, weight, rng=random.Random(1), **options)


def want_again(s: SnapshotScheduler, *symbols: int) -> None:
    """Books that were LIVE for an hour lose a delta: theirs is the whole budget."""
    for symbol_id in symbols:
        s.saw(symbol_id, LiveSpan(1, 3600.0, StateReason.GAP))
        s.want(symbol_id)


def test_wish_is_fulfilled_once() -> None:
    s = scheduler()
    s.want(7)
    s.want(7)
    assert (s.waiting, s.in_flight) == (1, 0)
    assert s.take(0.0) == [7]
    assert s.take(0.0) == [], "it is on its way already"
    assert (s.waiting, s.in_flight) == (0, 1)
    s.succeeded(7, 1.0)
    assert (s.waiting, s.in_flight) == (0, 0)


def test_wish_made_while_one_is_under_way_is_not_lost() -> None:
    # The one under way may have been asked for before what the wish is about: a lost line, a hole.
    s = scheduler(initial_retry_s=0.5)
    s.want(7)
    assert s.take(0.0) == [7]
    s.want(7)
    s.want(7)
    assert s.take(0.0) == []
    s.succeeded(7, 1.0)
    assert s.take(1.5) == [7]
    s.succeeded(7, 2.0)
    assert s.take(9.0) == [], "once"


def test_wish_that_was_fulfilled_meanwhile_is_dropped_unspent() -> None:
    s = scheduler(weight_per_minute=100, weight=100, reserve=0.0)
    want_again(s, 1, 2)
    assert s.take(0.0, lambda symbol_id, wish: symbol_id != 1 and wish is Wish.SYNC) == [2]
    assert (s.waiting, s.in_flight) == (0, 1)
    s.want(1)
    assert s.take(61.0) == [1], "a later wish is another one"


def test_request_nothing_was_heard_of_is_given_up_in_the_end() -> None:
    s = scheduler(lost_after_s=20.0, initial_retry_s=0.5, max_in_flight=1)
    s.want(1)
    assert s.take(0.0) == [1]
    assert s.take(20.0) == []
    assert s.take(20.1) == [], "failed: its backoff begins"
    assert s.in_flight == 0
    assert s.take(20.7) == [1]


def test_first_come_first_served_within_the_bound_in_flight() -> None:
    s = scheduler(max_in_flight=2)
    for symbol_id in (5, 3, 9, 1):
        s.want(symbol_id)
    assert s.take(0.0) == [5, 3]
    assert s.take(0.0) == []
    s.succeeded(3, 0.1)
    assert s.take(0.1) == [9]
    s.failed(5, 0.1)
    assert s.take(0.1) == [1]


def test_book_that_wants_another_at_once_waits_a_moment() -> None:
    s = scheduler(initial_retry_s=0.5)
    s.want(1)
    s.take(0.0)
    s.succeeded(1, 1.0)
    s.want(1)
    assert s.take(1.0) == []
    assert s.waiting == 1
    assert s.take(1.5) == [1]


def test_one_that_has_to_wait_does_not_hold_up_the_others() -> None:
    s = scheduler()
    s.want(1)
    s.take(0.0)
    s.failed(1, 0.0)
    s.want(2)
    assert s.take(0.0) == [2]


def test_budget_of_a_minute_is_kept_with_its_reserve() -> None:
    s = scheduler(weight_per_minute=1000, weight=100, max_in_flight=100, reserve=0.1)
    want_again(s, *range(20))
    assert s.take(0.0) == list(range(9)), "nine times 100 of 1000, a tenth is left to others"
    assert s.take(59.9) == []
    assert s.take(60.0) == list(range(9, 18))


def test_no_budget_means_no_limit() -> None:
    s = scheduler(weight_per_minute=0, max_in_flight=100)
    for symbol_id in range(50):
        s.want(symbol_id)
    assert len(s.take(0.0)) == 50


def test_what_others_on_the_address_spent_counts() -> None:
    s = scheduler(weight_per_minute=1000, weight=100, reserve=0.0, max_in_flight=100)
    s.want(1)
    s.take(0.0)
    s.succeeded(1, 0.0, used_weight=850)
    want_again(s, *range(2, 9))
    assert s.take(1.0) == [2], "850 of 1000 are gone"
    assert len(s.take(61.0)) == 6, "and a minute later they are back"


def test_lower_word_of_the_venue_is_not_trusted_more_than_the_own_count() -> None:
    s = scheduler(weight_per_minute=300, weight=100, reserve=0.0)
    want_again(s, *range(4))
    assert len(s.take(0.0)) == 3
    s.succeeded(0, 0.0, used_weight=0)
    assert s.take(0.0) == []


def test_backoff_doubles_up_to_its_cap_and_starts_over_after_a_success() -> None:
    s = scheduler(initial_retry_s=1.0, max_retry_s=8.0)
    now, delays = 0.0, []
    for _ in range(6):
        s.want(1)
        assert s.take(now) == [1]
        delays.append(s.failed(1, now))
        assert s.take(now + delays[-1] * 0.99) == []
        now += delays[-1]
    for delay, step in zip(delays, [1, 2, 4, 8, 8, 8], strict=True):
        assert step / 2 <= delay <= step
    assert s.take(now) == [1]
    s.succeeded(1, now)
    now += 10
    s.want(1)
    s.take(now)
    assert s.failed(1, now) <= 1.0


def test_failed_one_is_wanted_still() -> None:
    s = scheduler()
    s.want(4)
    s.take(0.0)
    delay = s.failed(4, 0.0)
    assert s.waiting == 1
    assert s.take(delay) == [4]


@pytest.mark.parametrize("retry_after_s", [7.0, 120.0])
def test_retry_after_stops_everything_until_it_is_over(retry_after_s: float) -> None:
    s = scheduler()
    s.want(1)
    s.take(0.0)
    s.want(2)
    assert s.failed(1, 0.0, retry_after_s=retry_after_s) >= retry_after_s
    assert s.take(retry_after_s - 0.001) == []
    s.succeeded(3, 1.0)  # an answer that was on its way does not lift the ban
    assert s.take(retry_after_s - 0.001) == []
    assert sorted(s.take(retry_after_s)) == [1, 2]


def test_shorter_retry_after_does_not_shorten_a_longer_one() -> None:
    s = scheduler(max_in_flight=2)
    s.want(1)
    s.want(2)
    s.take(0.0)
    s.failed(1, 0.0, retry_after_s=60)
    s.failed(2, 0.0, retry_after_s=1)
    assert s.take(59.0) == []
    assert sorted(s.take(60.0)) == [1, 2]


def test_forgotten_symbol_is_gone() -> None:
    s = scheduler(max_in_flight=1)
    s.want(1)
    s.want(2)
    s.take(0.0)
    s.forget(1)
    assert s.take(0.0) == [2], "its place is free"
    s.forget(2)
    s.want(3)
    s.forget(3)
    assert (s.waiting, s.in_flight) == (0, 0)
    assert s.take(100.0) == []
    s.forget(99)


def test_storm_after_a_mass_disconnect_is_spread_over_minutes() -> None:
    s = scheduler(weight_per_minute=6000, weight=50, max_in_flight=4, reserve=0.1)
    for symbol_id in range(300):
        s.want(symbol_id)
    now, done, spent = 0.0, [], []
    while len(done) < 300 and now < 600:
        for symbol_id in s.take(now):
            spent.append(now)
            done.append(symbol_id)
            s.succeeded(symbol_id, now, used_weight=-1)
        assert sum(when > now - 60 for when in spent) * 50 <= 5400
        now += 0.1
    assert done == list(range(300)), "in order, each once"
    assert now > 120, "300 cost 15000, so three windows are needed"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["want", "take", "ok", "fail", "ban", "forget"]),
            st.integers(0, 5),
            st.floats(0, 20, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_no_order_of_events_breaks_bound_budget_or_ban(steps: list[tuple[str, int, float]]) -> None:
    s = SnapshotScheduler(RestBudget(500, 0.0), 100, max_in_flight=2, rng=random.Random(0))
    now, banned_until, under_way, taken = 0.0, 0.0, set(), []
    for what, symbol_id, seconds in steps:
        now += seconds
        if what == "want":
            s.want(symbol_id)
        elif what == "take":
            chosen = s.take(now)
            assert not chosen or now >= banned_until
            assert not under_way & set(chosen)
            under_way |= set(chosen)
            taken += [now] * len(chosen)
        elif what == "forget":
            s.forget(symbol_id)
            under_way.discard(symbol_id)
        elif symbol_id in under_way:
            under_way.discard(symbol_id)
            if what == "ok":
                s.succeeded(symbol_id, now)
            else:
                delay = s.failed(symbol_id, now, retry_after_s=30.0 if what == "ban" else -1)
                assert delay > 0
                if what == "ban":
                    banned_until = max(banned_until, now + 30.0)
        assert s.in_flight == len(under_way) <= 2
        assert sum(when > now - 60 for when in taken) <= 5


def test_venues_of_one_pool_share_their_budget_and_its_pauses() -> None:
    budget = RestBudget(1000, reserve=0.0)
    one = SnapshotScheduler(budget, 200, max_in_flight=10, rng=random.Random(1))
    other = SnapshotScheduler(budget, 100, max_in_flight=10, rng=random.Random(2))
    want_again(one, *range(4))
    want_again(other, *range(100, 104))
    assert one.take(0.0) == [0, 1, 2, 3]
    assert other.take(0.0) == [100, 101]  # 800 were spent by the other venue
    assert one.failed(0, 1.0, retry_after_s=90.0) >= 90.0
    assert other.take(90.9) == []  # the budget is there again, but the venue said 90 s
    assert other.take(91.0) == [102, 103]


# ---- who goes first ----


def fails(s: SnapshotScheduler, symbol_id: int, now: float, times: int = 3) -> float:
    """So many syncs of a book in a row that come to nothing; returns the time after the last."""
    for _ in range(times):
        s.want(symbol_id)
        now += s.wait_s(symbol_id, now)
        assert s.take(now, lambda id_, _: id_ == symbol_id) == [symbol_id]
        s.succeeded(symbol_id, now)
    return now


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


# ---- audits ----


def audits(interval_s: float = 10, symbols: tuple[int, ...] = (1, 2, 3), **options: Any) -> AuditScheduler:
    a = AuditScheduler(scheduler(**options), interval_s)
    for symbol_id in symbols:
        a.add(symbol_id)
    return a


def anyone(_: int) -> bool:
    return True


def test_audits_go_round_at_the_interval_one_at_a_time() -> None:
    a = audits(10)
    assert a.take(100.0, anyone) is None, "the first is due an interval after the start"
    assert a.take(109.9, anyone) is None
    assert a.take(110.0, anyone) == 1
    assert a.take(125.0, anyone) is None, "the one before has no answer yet"
    a.done(1, 126.0)
    assert a.take(126.0, anyone) == 2
    a.done(2, 127.0)
    assert a.take(135.9, anyone) is None
    assert a.take(136.0, anyone) == 3
    a.done(3, 136.5)
    assert a.take(146.0, anyone) == 1


def test_no_interval_no_audit() -> None:
    a = audits(0)
    assert all(a.take(float(now), anyone) is None for now in range(0, 1000, 50))


def test_only_live_books_are_audited_and_the_turn_of_the_others_comes() -> None:
    a = audits(1)
    a.take(0.0, anyone)
    assert a.take(1.0, lambda symbol_id: symbol_id == 3) == 3
    a.done(3, 1.0)
    assert a.take(2.0, lambda _: False) is None
    assert a.take(2.5, anyone) == 1, "as soon as one is LIVE"
    a.done(1, 2.5)
    a.forget(2)
    assert a.take(3.5, anyone) == 3


def test_an_audit_waits_as_long_as_a_book_wants_a_snapshot() -> None:
    a = audits(1)
    a.take(0.0, anyone)
    a.snapshots.want(9)
    assert a.take(1.0, anyone) is None
    assert a.snapshots.take(1.0) == [9]
    assert a.take(1.0, anyone) is None, "it is on its way"
    a.snapshots.succeeded(9, 1.5)
    assert a.take(1.5, anyone) == 1
    a.snapshots.want(8)
    assert a.snapshots.take(1.5) == [8], "an audit under way holds up no sync"


def test_a_book_that_has_to_wait_for_minutes_holds_up_no_audit() -> None:
    a = audits(1)
    now = fails(a.snapshots, 9, 0.0, times=12)
    a.snapshots.want(9)
    assert a.snapshots.wait_s(9, now) > 100
    a.take(now, anyone)
    assert a.take(now + 1, anyone) == 1


def test_audits_leave_half_of_the_weight() -> None:
    a = audits(1, weight_per_minute=1000, weight=100)
    a.take(0.0, anyone)
    taken = 0
    for second in range(1, 50):
        if (symbol_id := a.take(float(second), anyone)) is not None:
            taken += 1
            a.done(symbol_id, float(second))
    assert taken == 5
    assert a.snapshots.budget.affords(400, 50.0), "what is left, but for the budget's own reserve"
    assert not a.snapshots.budget.affords(401, 50.0)
    assert a.take(61.5, anyone) is not None, "the first one's weight is free again"


def test_an_audit_that_failed_is_not_repeated_and_the_venues_word_holds_for_all() -> None:
    a = audits(10)
    a.take(0.0, anyone)
    assert a.take(10.0, anyone) == 1
    a.done(1, 11.0, retry_after_s=30, used_weight=2000)
    a.snapshots.want(5)
    assert a.snapshots.take(40.9) == []
    assert a.snapshots.take(41.0) == [5]
    a.snapshots.succeeded(5, 41.0)
    assert a.take(41.0, anyone) == 2
    assert not a.snapshots.budget.affords(3400, 41.0), "the weight the venue told of counts"


def test_a_lost_answer_does_not_end_the_audits() -> None:
    a = audits(10, symbols=(1, 2))
    a.take(0.0, anyone)
    assert a.take(10.0, anyone) == 1
    a.forget(1)
    assert a.take(69.0, anyone) is None
    assert a.take(70.0, anyone) == 2
    a.done(1, 71.0)
    assert a.take(80.0, anyone) is None, "late word of another one is not this one's"
    a.done(2, 81.0)
    assert a.take(81.0, anyone) == 2


def test_a_suspect_is_audited_at_once_also_where_nobody_else_is() -> None:
    a = audits(0)
    assert a.suspect(2)
    assert not a.suspect(2), "that is known"
    a.snapshots.want(9)  # what others wait for is another matter
    assert a.take(5.0, anyone) == 2
    assert a.take(5.0, anyone) is None, "once"
    a.done(2, 6.0)
    assert a.suspect(3)
    assert a.take(6.0, anyone) == 3


def test_a_suspect_that_stays_one_waits_twice_as_long_each_time() -> None:
    a = audits(0)
    taken = []
    for second in range(4000):
        a.suspect(1)
        if (symbol_id := a.take(float(second), anyone)) is not None:
            taken.append(second)
            a.done(symbol_id, float(second))
    assert [later - earlier for earlier, later in itertools.pairwise(taken)] == [
        *(30, 60, 120, 240, 480),
        *[600] * ((4000 - 930 - 1) // 600),
    ]


def test_a_suspect_after_a_long_time_is_a_new_one() -> None:
    a = audits(0)
    for began in (0.0, 1000.0):
        a.suspect(1)
        assert a.take(began, anyone) == 1
        a.done(1, began)
        a.suspect(1)
        assert a.take(began + 29.9, anyone) is None
        assert a.take(began + 30.0, anyone) == 1
        a.done(1, began + 30.0)


def test_suspects_take_turns_with_the_others_and_leave_half_of_the_weight() -> None:
    a = audits(10, weight_per_minute=1000, weight=100)
    a.take(0.0, anyone)
    assert a.take(10.0, anyone) == 1
    a.suspect(3)
    assert a.take(11.0, anyone) is None, "one at a time"
    a.done(1, 12.0)
    assert a.take(12.0, anyone) == 3
    a.done(3, 13.0)
    assert a.take(21.9, anyone) is None
    assert a.take(22.0, anyone) == 2, "an interval after the last one"
    a.done(2, 22.0)
    a.snapshots.budget.spend(300, 22.0)
    a.suspect(1)
    assert a.take(23.0, anyone) is None
    assert a.take(82.5, anyone) == 1


def test_a_suspect_that_is_not_live_or_is_gone_is_none() -> None:
    a = audits(0)
    a.suspect(1)
    assert a.take(1.0, lambda _: False) is None
    assert a.take(2.0, anyone) is None, "what is LIVE now is another book"
    a.suspect(2)
    a.forget(2)
    assert a.take(3.0, anyone) is None


def test_a_lost_answer_does_not_end_the_audits_of_suspects() -> None:
    a = audits(0)
    a.suspect(1)
    assert a.take(10.0, anyone) == 1
    a.suspect(2)
    assert a.take(69.9, anyone) is None
    assert a.take(70.0, anyone) == 2
