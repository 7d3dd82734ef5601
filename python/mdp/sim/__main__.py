"""``python -m mdp.sim``: the same as ``mdp sim``."""

from __future__ import annotations

import typer

from mdp.commands.sim import sim

if __name__ == "__main__":
    typer.run(sim)
