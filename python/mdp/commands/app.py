"""The command line: its commands, of which only the module of the one that is called is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mdp._loading import load
from mdp.about import OPTIONS
from mdp.commands import COMMANDS
from mdp.errors import MissingExtraError


class _Commands(TyperGroup):
    """Makes each command when it is asked for."""

    def list_commands(self, _: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        module, extra = COMMANDS[name]
        one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        settings: dict[str, Any] = {}
        try:
            function = load(module, name, wanted=f"mdp {name}", extra=extra)
        except MissingExtraError as error:
            function = _refusal(error, extra)
            settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
        one.command(name, context_settings=settings)(function)
        return typer.main.get_command(one)


def _refusal(error: MissingExtraError, extra: str) -> Callable[[], None]:
    """Return a command for one that cannot be loaded: it says why when it is called, whatever its options."""

    def refuse() -> None:
        raise error

    refuse.__doc__ = f"(not installed: it needs mdp's extra {extra})"
    return refuse


app = typer.Typer(
    name="mdp",
    cls=_Commands,
    help="Crypto market data over shared memory: exact books, trades and quotes for every local process.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    cmake_dir: Annotated[
        bool, typer.Option("--cmake-dir", help="Print the folder for CMake's mdp_DIR and exit.")
    ] = False,
    include_dir: Annotated[
        bool, typer.Option("--include-dir", help="Print the folder of the C++ headers and exit.")
    ] = False,
    shm_library: Annotated[
        bool, typer.Option("--shm-library", help="Print the path of libmdp_shm and exit.")
    ] = False,
) -> None:
    # Alone they are answered before this module is loaded; here they stand for the help, and with others.
    given = {
        "--version": version,
        "--cmake-dir": cmake_dir,
        "--include-dir": include_dir,
        "--shm-library": shm_library,
    }
    for option, wanted in given.items():
        if wanted:
            print(OPTIONS[option]())
            raise typer.Exit
