"""What the installed package says of itself: its version, and where what it brings for C++ is."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import mdp


def version() -> str:
    """Return the version of the package."""
    return mdp.__version__


def cmake_dir() -> str:
    """Return the folder for CMake's ``mdp_DIR``."""
    return str(_installed() / "lib" / "cmake" / "mdp")


def include_dir() -> str:
    """Return the folder of the C++ headers."""
    return str(_installed() / "include")


def shm_library() -> str:
    """Return the path of libmdp_shm, with which other languages read what is published."""
    return str(_installed() / "lib" / "libmdp_shm.so.1")


def _installed() -> Path:
    """Return the folder of the extension, beside which the rest is; the extension is not loaded for it."""
    extension = find_spec("mdp._core")
    assert extension is not None
    assert extension.origin is not None
    return Path(extension.origin).parent


OPTIONS: dict[str, Callable[[], str]] = {
    "--version": version,
    "--cmake-dir": cmake_dir,
    "--include-dir": include_dir,
    "--shm-library": shm_library,
}
"""The options of the command line that ask for these."""
