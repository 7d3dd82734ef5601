"""The version of the installed package, in a module of its own: it takes a while to find, and few ask."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("mdp")
