"""Start of the command line: ``mdp`` or ``python -m mdp``. Its commands are in `mdp.commands`."""

from __future__ import annotations

import io
import sys

from mdp._loading import load
from mdp.about import OPTIONS
from mdp.commands import COMMANDS
from mdp.errors import MdpError

_EXIT_ERROR = 2


def main() -> None:
    """Run the command line; errors of mdp end it with exit code 2 and one message."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # symbols may have characters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    if len(arguments) == 1 and arguments[0] in OPTIONS:  # which any install answers, and at once
        print(OPTIONS[arguments[0]]())
        return
    try:
        name = arguments[0] if arguments and arguments[0] in COMMANDS else ""
        _, extra = COMMANDS.get(name, ("", "cli"))
        load("mdp.commands.app", "app", wanted=f"mdp {name}".rstrip(), extra=extra)()
    except MdpError as error:
        if core := sys.modules.get("mdp._core"):  # what it still has to log comes first
            core.stop_logging()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_EXIT_ERROR)


if __name__ == "__main__":
    main()
