"""For who types: the command line ``mdp``, a module for each kind of command."""

from __future__ import annotations

COMMANDS = {
    "run": ("mdp.commands.provide", "provider"),
    "check": ("mdp.commands.provide", "provider"),
    "keys": ("mdp.commands.keys", "provider"),
    "top": ("mdp.commands.live", "cli"),
    "ls": ("mdp.commands.listing", "cli"),
    "book": ("mdp.commands.read", "cli"),
    "tail": ("mdp.commands.read", "cli"),
    "demo": ("mdp.commands.demo", "all"),
    "replay": ("mdp.commands.replay", "cli"),
    "sim": ("mdp.commands.sim", "sim"),
}
"""By name, in the order of the help: the module whose function of that name it is, and the extra it needs."""
