"""The Python packages keep their rules, and each rule finds a fault where there is one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ARROWS = """\
```
python/mdp
  __main__ -> commands;
  commands -> reading; typer
  reading  -> ; numpy
  sim      ->
```
"""


def load_rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("python_rules", HERE / "python_rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["python_rules"] = module
    spec.loader.exec_module(module)
    return module


rules = load_rules()


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_tree_keeps_rule(rule) -> None:
    assert len(rules.modules(ROOT)) > 50
    faults = rule(ROOT)
    assert not faults, "\n" + "\n".join(faults)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a small tree without faults."""
    write(tmp_path, "ARCHITECTURE.md", ARROWS)
    write(tmp_path, "python/mdp/__init__.py", "from mdp.errors import MdpError\n")
    write(tmp_path, "python/mdp/__main__.py", "from mdp.commands import read\n")
    write(tmp_path, "python/mdp/errors.py", "import json\n")
    write(tmp_path, "python/mdp/reading/__init__.py", "")
    write(tmp_path, "python/mdp/reading/reader.py", "import numpy as np\nfrom mdp import _core, errors\n")
    write(tmp_path, "python/mdp/reading/batch.py", "from mdp.reading.reader import Book\n")
    write(tmp_path, "python/mdp/commands/__init__.py", "")
    write(
        tmp_path,
        "python/mdp/commands/read.py",
        "import typer.main\nimport mdp\ndef book():\n  from mdp.reading import reader\n",
    )
    write(tmp_path, "python/mdp/sim/__init__.py", "")
    write(tmp_path, "python/mdp/sim/wire/__init__.py", "from mdp.sim.wire import okx\n")
    write(tmp_path, "python/mdp/sim/wire/protocol.py", "")
    write(tmp_path, "python/mdp/sim/wire/okx/__init__.py", "from mdp.sim.wire.okx.words import say\n")
    write(tmp_path, "python/mdp/sim/wire/okx/words.py", "from mdp.sim.wire.protocol import Wire\n")
    write(tmp_path, "python/mdp/sim/wire/bybit/__init__.py", "")
    write(tmp_path, "python/mdp/sim/feed.py", "from mdp.sim.wire import FAMILIES\n")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_faultless_tree_passes(tree: Path, rule) -> None:
    assert rule(tree) == []


CYCLE = "mdp.reading.reader -> mdp.reading.batch -> mdp.reading.reader"


@pytest.mark.parametrize(
    ("rule", "name", "text", "fault"),
    [
        ("python_arrows", "reading/a.py", "from mdp.commands import read\n", "no arrow leads to commands"),
        ("python_arrows", "reading/a.py", "import mdp.commands.read\n", "no arrow leads to commands"),
        ("python_arrows", "reading/a.py", "from mdp import commands\n", "no arrow leads to commands"),
        ("python_arrows", "reading/a.py", "def f():\n  import typer\n", "no arrow names typer"),
        ("python_arrows", "errors.py", "import numpy\n", "the root may not import numpy"),
        ("python_arrows", "commands/a.py", "from mdp import __main__\n", "no arrow leads to __main__"),
        ("python_arrows", "errors.py", "import mdp.reading.reader\n", "no arrow leads to reading"),
        ("python_arrows", "extra/__init__.py", "", "ARCHITECTURE.md: extra has no arrow"),
        ("wire_isolation", "sim/feed.py", "from mdp.sim.wire.okx import words\n", "only the registry may"),
        ("wire_isolation", "sim/feed.py", "from mdp.sim.wire import okx\n", "only the registry may"),
        (
            "wire_isolation",
            "sim/wire/protocol.py",
            "import mdp.sim.wire.okx.words\n",
            "only the registry may",
        ),
        ("wire_isolation", "sim/wire/bybit/a.py", "import mdp.sim.wire.okx.words\n", "only the registry may"),
        ("python_circles", "reading/reader.py", "import mdp.reading.batch\n", CYCLE),
        ("python_circles", "reading/reader.py", "def f():\n  from mdp.reading import batch\n", CYCLE),
        ("python_circles", "errors.py", "import mdp\n", "mdp -> mdp.errors -> mdp"),
    ],
)
def test_fault_is_found(tree: Path, rule: str, name: str, text: str, fault: str) -> None:
    write(tree, f"python/mdp/{name}", text)
    faults = getattr(rules, rule)(tree)
    assert any(fault in line for line in faults), faults


def test_arrow_of_a_package_that_is_gone_is_found(tree: Path) -> None:
    write(tree, "ARCHITECTURE.md", ARROWS.replace("  commands", "  gone -> reading;\n  commands"))
    assert rules.python_arrows(tree) == ["ARCHITECTURE.md: python/mdp has no gone"]


def test_import_for_a_type_checker_is_no_circle(tree: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  from mdp.reading.batch import EventBatch\n"
    write(tree, "python/mdp/reading/reader.py", text)
    assert rules.python_circles(tree) == []
