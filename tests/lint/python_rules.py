"""Rules of the Python packages that no checker knows. Each takes the root of a tree and returns its faults.

Which package may import which is written down once, in the block of ARCHITECTURE.md that begins with
"python/mdp". Imports for type checkers alone (`if TYPE_CHECKING:`) do not run, and so do not count. All
others do, wherever in a module they stand.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = "python/mdp"


class Arrows(NamedTuple):
    """What the modules of a package may import besides each other and the modules at the root."""

    ours: set[str]
    theirs: set[str]


class Import(NamedTuple):
    """One import that runs."""

    line: int
    module: str


def arrows(root: Path) -> dict[str, Arrows]:
    """Read the arrows: a line ``package -> ours; theirs`` for each, either side empty where there is none."""
    text = (root / "ARCHITECTURE.md").read_text()
    block = re.search(rf"^{PACKAGE}\n((?:  .*\n)+)", text, re.MULTILINE)
    found: dict[str, Arrows] = {}
    for line in block[1].splitlines() if block else ():
        name, _, targets = line.partition("->")
        ours, _, theirs = targets.partition(";")
        found[name.strip()] = Arrows(set(ours.split()), set(theirs.split()))
    return found


def modules(root: Path) -> dict[str, Path]:
    """List the modules of the package by name."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / "python").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """Yield the imports of a file that run; ``from a import b`` is of ``a.b`` where that is a module."""
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield Import(node.lineno, name if name in known or node.module == "mdp" else str(node.module))


def package_of(module: str, packages: set[str]) -> str:
    """Name the package that a module of ours is in, "" for one at the root without an arrow of its own."""
    name = module.removeprefix("mdp").removeprefix(".").partition(".")[0]
    return name if name in packages else ""


def python_arrows(root: Path) -> list[str]:
    """Imports follow the arrows, and a package of others is imported where an arrow names it alone."""
    known, allowed = modules(root), arrows(root)
    packages = {path.parent.name for path in (root / PACKAGE).glob("*/__init__.py")}
    faults = [f"ARCHITECTURE.md: {name} has no arrow" for name in sorted(packages - set(allowed))]
    faults += [
        f"ARCHITECTURE.md: {PACKAGE} has no {name}"
        for name in sorted(set(allowed) - packages)
        if f"mdp.{name}" not in known
    ]
    packages |= set(allowed)
    for module, path in known.items():
        package = package_of(module, packages)
        may = allowed.get(package, Arrows(set(), set()))
        for line, name in imports(path, known):
            top = name.partition(".")[0]
            target = package_of(name, packages) if top == "mdp" else ""
            fault = ""
            if target and target != package and target not in may.ours:
                fault = f"no arrow leads to {target}"
            elif top != "mdp" and top not in sys.stdlib_module_names and top not in may.theirs:
                fault = f"no arrow names {top}"
            if fault:
                where = f"{path.relative_to(root)}:{line}"
                faults.append(f"{where}: {package or 'the root'} may not import {name}; {fault}")
    return faults


def python_circles(root: Path) -> list[str]:
    """No module imports, over others, itself."""
    known = modules(root)
    edges = {
        module: sorted({name for _, name in imports(path, known) if name in known})
        for module, path in known.items()
    }
    done: set[str] = set()
    faults: list[str] = []

    def visit(module: str, road: list[str]) -> None:
        if module in road:
            faults.append(" -> ".join([*road[road.index(module) :], module]) + ": a circle of imports")
        elif module not in done:
            for target in edges[module]:
                visit(target, [*road, module])
            done.add(module)

    for module in known:
        visit(module, [])
    return faults


def wire_isolation(root: Path) -> list[str]:
    """A venue's words in the exchange are known to its folder of mdp.sim.wire and to the registry alone."""
    known = modules(root)
    venues = {path.parent.name for path in (root / PACKAGE / "sim/wire").glob("*/__init__.py")}
    faults = []
    for module, path in known.items():
        own = re.match(r"mdp\.sim\.wire\.(\w+)", module)
        for line, name in imports(path, known):
            theirs = re.match(r"mdp\.sim\.wire\.(\w+)", name)
            if not theirs or theirs[1] not in venues or module == "mdp.sim.wire":
                continue
            if own is None or own[1] != theirs[1]:
                faults.append(f"{path.relative_to(root)}:{line}: only the registry may import {name}")
    return faults


RULES = [python_arrows, python_circles, wire_isolation]
