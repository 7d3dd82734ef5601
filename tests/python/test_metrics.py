"""The table of counters comes out whole: in health and in what Prometheus scrapes, each with its own text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mdp import _core
from mdp.providing.health import Health
from mdp.providing.metrics import HealthCollector
from prometheus_client import CollectorRegistry, generate_latest

TABLE = Path(__file__).parents[2] / "cpp/src/mdp/core/counters.def"
LINE = re.compile(
    r'^MDP_(BOOK|PUBLISH|SEGMENT|WAIT|NET|PARSE|LINE|ENGINE)_(COUNTER|GAUGE)\((\w+), "(.*)"\)$', re.M
)
OF_LINE = {"NET", "PARSE", "LINE"}
METRICS = _core.metrics()


def health(engine: _core.EngineHealth) -> Health:
    return Health(symbols=0, live=0, syncing=0, stale=0, missing={"toy": 3}, engine=engine, age_s=0.0)


def scraped(engine: _core.EngineHealth) -> str:
    registry = CollectorRegistry()
    registry.register(HealthCollector(lambda: health(engine)))
    return generate_latest(registry).decode()


def test_every_line_of_the_table_is_a_metric() -> None:
    lines = LINE.findall(TABLE.read_text())
    assert len(lines) == len(re.findall(r'^MDP_.*"', TABLE.read_text(), re.M)) > 50
    told = {(owner in OF_LINE, kind == "GAUGE", name, text) for owner, kind, name, text in lines}
    assert told == {(metric.of_line, metric.is_gauge, metric.name, metric.help) for metric in METRICS}


def test_every_number_comes_out_as_itself() -> None:
    """A number of its own for each line of the table, twice for those of lines: no other shows it."""
    numbers = {id(metric): 1000 + place for place, metric in enumerate(METRICS)}
    of_engine = {metric.name: numbers[id(metric)] for metric in METRICS if not metric.of_line}
    of_line = {metric.name: numbers[id(metric)] for metric in METRICS if metric.of_line}
    lines = [
        _core.LineHealth("toy", 0, **of_line),
        _core.LineHealth("toy", 5, **{name: number + 1000 for name, number in of_line.items()}),
    ]
    engine = _core.EngineHealth(lines, **of_engine)
    for name, number in of_engine.items():
        assert getattr(engine, name) == number, name
    for name, number in of_line.items():
        assert [getattr(line, name) for line in engine.lines] == [number, number + 1000], name

    text = scraped(engine)
    for metric in METRICS:
        value = float(numbers[id(metric)])
        total = "" if metric.is_gauge else "_total"
        if metric.of_line:
            of_both = {0: value, 5: value + 1000}
            for line, shown in of_both.items():
                assert f'\nmdp_line_{metric.name}{total}{{line="{line}",venue="toy"}} {shown}\n' in text
        else:
            assert f"\nmdp_{metric.name}{total} {value}\n" in text


def test_every_metric_has_a_help_text_of_its_own() -> None:
    texts = re.findall(r"^# HELP (\S+) (.*)$", scraped(_core.EngineHealth([])), re.M)
    assert len(texts) > len(METRICS)
    assert all(text for _, text in texts)
    assert len({text for _, text in texts}) == len(texts)


def test_metrics_are_named_as_prometheus_wants_it() -> None:
    types = re.findall(r"^# TYPE (\S+) (\S+)$", scraped(_core.EngineHealth([])), re.M)
    assert {kind for _, kind in types} == {"counter", "gauge"}
    for name, kind in types:
        assert re.fullmatch(r"mdp_[a-z0-9_]+", name)
        assert name.endswith("_total") == (kind == "counter"), name


def test_a_count_that_is_in_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match=r"not in core/counters\.def"):
        _core.EngineHealth([], frames=1)
