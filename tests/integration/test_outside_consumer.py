"""Readers that share no code: `mdp book`, a C++17 program outside the tree, Python by the document alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from integration.harness import ROOT, fresh, run_mdp, wait_for, wait_live
from mdp import Provider, _core
from mdp._core import format_decimal
from mdp.sim import SimProcess, start_sim_process
from python.test_consumer import build_consumer
from python.wire_format_reader import Segment

SYMBOLS = ["BTCUSDT", "ETHUSDT", "1000SATSUSDT"]


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build examples against the headers and CMake package that were installed with mdp."""
    package = Path(_core.__file__).parent / "lib" / "cmake" / "mdp"
    assert package.is_dir()
    assert ROOT / "cpp" not in package.parents
    return build_consumer(package, tmp_path_factory.mktemp("consumer"))


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    # It moves when the test says so: the readers look one after another and must see the same moment.
    with start_sim_process(symbols=SYMBOLS, seed=21, rate=0) as sim:
        sim.status()
        yield sim


def by_document(segment: str, symbol: str) -> str:
    """Return the line of `mdp book --top` from nothing but docs/wire-format.md."""
    reader = Segment(segment)
    try:
        instrument = next(entry for entry in reader.instruments() if entry.canonical_symbol == symbol)
        book = reader.book(instrument.symbol_id)
    finally:
        reader.close()
    words = [symbol, book.state, str(book.update_id)]
    for side in (book.bids, book.asks):
        words += [
            format_decimal(side[0].price, instrument.price_exponent),
            format_decimal(side[0].quantity, instrument.quantity_exponent),
        ]
    return " ".join(words)


def test_all_readers_print_the_same_top_of_book(
    sim: SimProcess, consumer: Path, provider_for: Callable[..., Provider], segment: str
) -> None:
    wait_live(provider_for(sim, quiet_sync_ms=100))
    for entry in names(segment):
        venue_symbol = entry.partition(":")[2].replace("-", "")
        sim.fault("oversized", symbol=venue_symbol, levels=200)
        moved = wait_for(lambda s=venue_symbol: int(sim.truth(s, depth=1)["updateId"]), "the market")
        wait_for(lambda e=entry, m=moved: int(by_document(segment, e).split()[2]) == m, f"update {moved}")
        seen = [
            by_document(segment, entry),
            subprocess.run([consumer, segment, entry], capture_output=True, text=True, check=True).stdout[
                :-1
            ],
            run_mdp("book", segment, entry, "--top").stdout[:-1],
        ]
        assert len(set(seen)) == 1, seen
        _, state, update_id, *numbers = seen[0].split()
        truth = sim.truth(venue_symbol, int(update_id), 1)
        assert state == "LIVE"
        assert [Decimal(number) for number in numbers] == [
            Decimal(number) for side in ("bids", "asks") for number in truth[side][0]
        ]


def names(segment: str) -> list[str]:
    """Return the canonical symbols of a segment, by the document."""
    reader = Segment(segment)
    try:
        return [instrument.canonical_symbol for instrument in reader.instruments()]
    finally:
        reader.close()


def test_document_alone_reads_every_event(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    provider = provider_for(sim)
    wait_live(provider)
    reader = Segment(segment)
    provider.stop()
    try:
        events = list(reader.events(reader.oldest()))
        assert [event.sequence for event in events] == list(range(fresh(provider).health().engine.events))
        assert reader.state == 2  # stopped
    finally:
        reader.close()
