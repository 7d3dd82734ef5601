"""The stub that the build generates is the one that was reviewed."""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from pathlib import Path

import pytest
from mdp import _core

HERE = Path(__file__).parent
REFERENCE = HERE / "stubs" / "_core.pyi.ref"


def pinned_nanobind() -> str:
    text = (HERE.parents[1] / "requirements" / "dev.txt").read_text(encoding="utf-8")
    found = re.search(r"^nanobind==(\S+)", text, re.MULTILINE)
    assert found
    return found[1]


def test_stub_is_the_reviewed_one() -> None:
    """After a change that is meant: copy the generated stub over the reference, and commit both."""
    installed = importlib.metadata.version("nanobind")
    if installed != pinned_nanobind():
        pytest.skip(
            f"nanobind {installed} may write stubs in another way than the pinned {pinned_nanobind()}"
        )
    stub = Path(_core.__file__).with_name("_core.pyi")
    difference = list(
        difflib.unified_diff(
            REFERENCE.read_text(encoding="utf-8").splitlines(),
            stub.read_text(encoding="utf-8").splitlines(),
            str(REFERENCE.name),
            str(stub),
            lineterm="",
        )
    )
    assert not difference, "\n".join(difference)


def test_every_name_of_the_stub_exists() -> None:
    names = re.findall(r"^(?:class|def) (\w+)", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if not hasattr(_core, name)] == []
