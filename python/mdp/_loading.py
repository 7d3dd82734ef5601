"""Parts of mdp are loaded when they are first used, so that a reader loads and installs nothing but a reader.

`import mdp` loads next to nothing. A name such as `mdp.Provider` brings its module with its first use; where
a package that the module needs is not installed, the error names the extra that brings it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from mdp.errors import MissingExtraError

_EXTRAS = {"configuring": "provider", "providing": "provider", "sim": "sim"}
"""The extra of pyproject.toml that names of a package need; `mdp.commands` has those of commands."""


def load(module: str, name: str, *, wanted: str, extra: str | None = None) -> Any:
    """Return what a module of mdp has under a name, and import the module if nobody has yet.

    Parameters
    ----------
    module, name
        As in ``from module import name``.
    wanted
        What the error says cannot be used: `mdp.Provider`, `mdp run`.
    extra
        The extra that brings what the module needs; None: the one of its package.

    Raises
    ------
    MissingExtraError
        A package that the module needs is not installed.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "mdp").partition(".")[0]
        if missing == "mdp":  # a module of our own, and no extra brings it
            raise
        extra = extra or _EXTRAS.get(module.split(".")[1])
        raise missing_extra(wanted, missing, extra) from None


def missing_extra(wanted: str, package: str, extra: str | None) -> MissingExtraError:
    """Return the error of a part that lacks a package; `extra` None: the package comes with mdp itself."""
    install = f"mdp[{extra}]" if extra else "mdp"
    return MissingExtraError(
        f"{wanted} needs the package {package}, which is not installed: pip install '{install}'"
    )


def on_first_use(
    package: str, names: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package whose names are loaded on their first use.

    Parameters
    ----------
    package
        Its `__name__`.
    names
        By module, the names that come from there.
    """
    homes = {name: module for module, those in names.items() for name in those}

    def get_attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = load(homes[name], name, wanted=f"{package}.{name}")
        setattr(sys.modules[package], name, value)  # the next use finds it there
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get_attribute, list_names
