"""Which snapshot is fetched when: budget, bounds, backoff, the venue's own word; the clock is the test's.

Who goes first, and who waits: test_snapshot_urgency.py.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp import StateReason
from mdp.providing.snapshots import (
    AuditScheduler,
    LiveSpan,
    RestBudget,
    SnapshotScheduler,
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


def fails(s: SnapshotScheduler, symbol_id: int, now: float, times: int = 3) -> float:
    """So many syncs of a book in a row that come to nothing; returns the time after the last."""
    for _ in range(times):
        s.want(symbol_id)
        now += s.wait_s(symbol_id, now)
        assert s.take(now, lambda id_, _: id_ == symbol_id) == [symbol_id]
        s.succeeded(symbol_id, now)
    return now


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
    now, banned_until, taken = 0.0, 0.0, []
    under_way: dict[int, float] = {}  # since when
    for what, symbol_id, seconds in steps:
        now += seconds
        if what == "want":
            s.want(symbol_id)
        elif what == "take":
            # What nothing was heard of for a minute is given up here, and wanted still.
            under_way = {id_: since for id_, since in under_way.items() if now - since <= s.lost_after_s}
            chosen = s.take(now)
            assert not chosen or now >= banned_until
            assert not under_way.keys() & set(chosen)
            under_way |= dict.fromkeys(chosen, now)
            taken += [now] * len(chosen)
        elif what == "forget":
            s.forget(symbol_id)
            under_way.pop(symbol_id, None)
        elif symbol_id in under_way:
            del under_way[symbol_id]
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
