"""Mutated sessions: what changes a book is caught before a wrong LIVE state; the harmless disturbs none."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from integration.decimal_model import read_session
from integration.harness import SHARED_DATA
from integration.mutation import KINDS, Base, Figures, campaign, cut_session, judge, snapshot_symbol, table
from integration.sessions import compose
from mdp._core import venue_names

# Folder of recordings, venue, and whether it follows the futures' rule.
RECORDED = (
    ("binance-spot", "binance", False),
    ("binance-usdm", "binance-usdm", True),
    ("binance-coinm", "binance-coinm", True),
)
# Two books of this session are wrong as they were recorded.
FLAWED = {("binance-coinm", "2021-04-17", "BTCUSD_PERP"), ("binance-coinm", "2021-04-17", "BTCUSD_210924")}
DELTAS = 40
CI_CASES = 600
STRESS_CASES = 40_000


@cache
def composed_bases() -> list[Base]:
    return [Base(f"composed-{seed}", "binance", compose(seed, deltas=30), False) for seed in range(1, 7)]


@cache
def recorded_bases() -> list[Base]:
    bases = []
    for folder, venue, futures in RECORDED:
        if venue not in venue_names():
            continue
        sessions = sorted({path.name.split(".")[0] for path in (SHARED_DATA / folder).glob("*.ws*.gz")})
        for session in sessions:
            paths: list[Path] = sorted((SHARED_DATA / folder).glob(f"{session}.*"))
            records = read_session([path for path in paths if ".info." not in path.name])
            symbols = dict.fromkeys(filter(None, map(snapshot_symbol, records)))
            for symbol in [s for s in symbols if (folder, session, s) not in FLAWED][:4]:
                piece = cut_session(records, symbol, DELTAS)
                bases.append(Base(f"{folder}/{session}/{symbol}", venue, piece, futures))
    return bases


def check(figures: dict[str, Figures], cases: int) -> None:
    print("\n" + table(figures))
    faults = [fault for own in figures.values() for fault in own.faults]
    assert not faults, "\n".join(faults[:20])
    assert sum(own.cases for own in figures.values()) == cases
    # The campaign must have had something to find, of every kind.
    assert all(figures[kind].must_be_caught for kind in KINDS if kind != "duplicate")
    assert all(figures[kind].harmless for kind in ("drop", "duplicate", "swap"))


def test_unmutated_bases_are_right_at_every_update() -> None:
    for base in composed_bases():
        for pipelined in (False, True):
            outcome = judge(base, base.records, pipelined=pipelined)
            assert outcome.ends_right and not outcome.told and outcome.wrong_live == 0


def test_the_judge_sees_a_wrong_book() -> None:
    # Truth made wrong on purpose: otherwise a judge that sees nothing would pass everything.
    base = Base("composed-1", "binance", compose(1, deltas=30), False)
    symbol, ids = next(iter(base.truth.items()))
    ids[max(ids)] += 1
    outcome = judge(base, base.records)
    assert outcome.wrong_live == 1 and not outcome.ends_right, symbol


def test_mutated_composed_sessions() -> None:
    check(campaign(composed_bases(), CI_CASES, seed=1), CI_CASES)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"recorded sessions are not at {SHARED_DATA}")
def test_mutated_recordings() -> None:
    check(campaign(recorded_bases(), CI_CASES, seed=2), CI_CASES)


@pytest.mark.stress
@pytest.mark.parametrize("seed", [3, 4])
def test_tens_of_thousands_of_mutations(seed: int) -> None:
    bases = composed_bases() + (recorded_bases() if SHARED_DATA.is_dir() else [])
    check(campaign(bases, STRESS_CASES // 2, seed), STRESS_CASES // 2)
