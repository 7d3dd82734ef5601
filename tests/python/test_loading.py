"""What is loaded for whom, and what is said where a part is not installed."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import mdp
import mdp.sim
import pytest
from mdp.commands import COMMANDS
from mdp.errors import MdpError, MissingExtraError
from support.live import LivePublisher, unique_segment

EXTRAS = {
    "cli": ["rich", "typer"],
    "provider": ["prometheus_client", "pydantic", "yaml"],
    "sim": ["aiohttp", "cryptography", "multidict"],
    "zst": ["zstandard"],
}
ALL_EXTRAS = [name for names in EXTRAS.values() for name in names]
NOT_FOR_READERS = [
    *ALL_EXTRAS,
    *("argparse", "click", "websockets"),
    *("http.server", "socketserver", "wsgiref"),
    *("asyncio", "ssl"),
]
"""Command lines, servers, TLS: what no reader needs. (asyncio brings ssl; `async for` has it already.)"""


def python(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False
    )


def without(packages: list[str]) -> str:
    """Return the first lines of a program in which some packages are not to be had."""
    return f"import sys\nfor name in {packages!r}: sys.modules[name] = None\n"


def command_without(packages: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(without(packages) + "from mdp.__main__ import main\nmain()\n", *arguments)


def refused(who: str, package: str, extra: str) -> tuple[int, str, str]:
    """Return the exit code and what is printed where a part lacks a package."""
    return (
        2,
        "",
        f"error: {who} needs the package {package}, which is not installed: pip install 'mdp[{extra}]'\n",
    )


# ---- public names ----


@pytest.mark.parametrize("package", [mdp, mdp.sim], ids=lambda package: package.__name__)
def test_names_for_programs_are_those_for_type_checkers(package: ModuleType) -> None:
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text())
    (split,) = (node for node in tree.body if isinstance(node, ast.If))
    for_checkers = {
        (node.module, alias.name)
        for node in split.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (call,) = (node.value for node in split.orelse if isinstance(node, ast.Assign))
    assert isinstance(call, ast.Call)
    for_programs = {
        (module, name) for module, names in ast.literal_eval(call.args[1]).items() for name in names
    }
    assert for_programs == for_checkers
    assert sorted(name for _, name in for_programs) == sorted(package.__all__)
    for module, name in for_programs:
        assert getattr(package, name) is getattr(importlib.import_module(str(module)), name)


@pytest.mark.parametrize("package", [mdp, mdp.sim], ids=lambda package: package.__name__)
def test_names_are_listed_before_they_are_used(package: ModuleType) -> None:
    done = python(f"import {package.__name__} as package; print(*dir(package))")
    assert done.stderr == ""
    names = done.stdout.split()
    assert set(package.__all__) <= set(names)
    assert names == sorted(set(names))


def test_star_brings_every_public_name() -> None:
    done = python("from mdp import *; import mdp; print(*[n for n in mdp.__all__ if n not in globals()])")
    assert (done.stdout, done.stderr) == ("\n", "")


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mdp' has no attribute 'Subscribr'"):
        mdp.Subscribr  # type: ignore[attr-defined]  # noqa: B018
    done = python("from mdp import Subscribr")
    assert "ImportError: cannot import name 'Subscribr' from 'mdp'" in done.stderr


# ---- what is loaded ----


@pytest.mark.parametrize(
    "text",
    [
        "import mdp",
        "from mdp import Book, EventBatch, EventType, Follower, LocalBook, Subscriber",
        "import mdp\ntry: mdp.Subscriber('mdp-test-no-such-segment')\nexcept mdp.SegmentError: pass",
    ],
)
def test_reader_loads_no_server_no_tls_and_no_command_line(text: str) -> None:
    done = python(
        f"{text}\nimport sys; print(*[name for name in {NOT_FOR_READERS!r} if name in sys.modules])"
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_import_loads_neither_numpy_nor_the_extension() -> None:
    done = python("import mdp, sys; print('numpy' in sys.modules, 'mdp._core' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False False\n", "")


@pytest.mark.parametrize("option", ["--version", "--cmake-dir", "--include-dir", "--shm-library"])
def test_options_of_the_installation_load_nothing_else(option: str) -> None:
    names = [*NOT_FOR_READERS, "numpy", "mdp._core"]
    text = "import sys\nfrom mdp.__main__ import main\nmain()\n"
    text += f"print(*[name for name in {names!r} if name in sys.modules])"
    done = python(text, option)
    assert done.stderr == ""
    said, loaded = done.stdout.splitlines()
    assert (bool(said), loaded) == (True, "")


@pytest.mark.parametrize(("command", "theirs"), [("book", "read"), ("replay", "replay")])
def test_only_the_module_of_the_command_is_loaded(command: str, theirs: str) -> None:
    text = (
        "import sys\nfrom mdp.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*[n for n in sys.modules if n.startswith('mdp.')], file=sys.stderr)"
    )
    done = python(text, command, "--help")
    loaded = set(done.stderr.split())
    assert f"mdp.commands.{theirs}" in loaded
    assert not [name for name in loaded if name.startswith(("mdp.providing", "mdp.configuring", "mdp.sim"))]


# ---- where a part is not installed ----


def test_reader_needs_no_extra() -> None:
    text = (
        "import mdp\nfeed = mdp.Subscriber(sys.argv[1])\n"
        "print(feed.book('BTCUSDT').update_id, len(list(feed.poll())), feed.follow('BTCUSDT').book.update_id)"
    )
    with LivePublisher(unique_segment()) as publisher:
        publisher.fill(20)
        done = python(without([*ALL_EXTRAS, "click"]) + text, publisher.segment)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == 3


def test_version_needs_no_extra() -> None:
    done = command_without(ALL_EXTRAS, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{mdp.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_the_extra_it_lacks(command: str) -> None:
    done = command_without(ALL_EXTRAS, command, "--whatever", "it", "takes")
    extra = COMMANDS[command][1]
    wanted = (
        f"error: mdp {command} needs the package typer, which is not installed: pip install 'mdp[{extra}]'\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        ("run", "prometheus_client", "provider"),
        ("check", "prometheus_client", "provider"),
        ("sim", "aiohttp", "sim"),
        ("demo", "prometheus_client", "all"),
    ],
)
def test_command_names_the_extra_beside_one_that_is_there(command: str, missing: str, extra: str) -> None:
    done = command_without([missing], command, "--whatever", "it", "takes")
    assert (done.returncode, done.stdout, done.stderr) == refused(f"mdp {command}", missing, extra)


def test_demo_without_the_exchange_says_so_before_it_starts_anything() -> None:
    done = command_without(["aiohttp"], "demo", "--json")
    assert (done.returncode, done.stdout, done.stderr) == refused("the embedded exchange", "aiohttp", "sim")


def test_help_shows_which_commands_are_not_installed() -> None:
    done = command_without(["aiohttp", "prometheus_client"], "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    lacks = {line.split()[1]: line for line in done.stdout.splitlines() if "not installed" in line}
    assert {name: "extra " + COMMANDS[name][1] in line for name, line in lacks.items()} == {
        "run": True,
        "check": True,
        "demo": True,
        "sim": True,
    }


def test_name_of_a_part_that_is_not_installed_names_the_extra() -> None:
    program = without(["pydantic"]) + (
        "import mdp\n"
        "for name in ('Provider', 'load_config'):\n"
        "    try: getattr(mdp, name)\n"
        "    except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = python(program)
    needs = "needs the package pydantic, which is not installed: pip install 'mdp[provider]'"
    assert done.stdout.splitlines() == [
        f"MissingExtraError mdp.{name} {needs}" for name in ("Provider", "load_config")
    ]


def test_missing_extra_is_an_error_of_mdp_and_of_the_import() -> None:
    assert issubclass(MissingExtraError, (MdpError,))
    assert issubclass(MissingExtraError, ImportError)


def test_fault_of_our_own_is_not_taken_for_a_missing_extra() -> None:
    done = python(without(["mdp.providing.joining"]) + "import mdp; mdp.Provider")
    assert "ModuleNotFoundError" in done.stderr
    assert "pip install" not in done.stderr


def test_extras_bring_what_the_messages_promise() -> None:
    """The table here is that of pyproject.toml, so the tests above leave out what a user has not."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    names = {"pyyaml": "yaml", "prometheus-client": "prometheus_client"}
    for extra, packages in EXTRAS.items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"{extra} = ["))
        listed = {part.split(">=")[0].strip(' "[]') for part in line.partition("=")[2].split(",")}
        brought = {names.get(name, name) for name in listed if not name.startswith("mdp[")}
        # multidict comes with aiohttp, and the exchange's scripts are YAML.
        assert brought == set(packages) - {"multidict"} | ({"yaml"} if extra == "sim" else set())
        assert ("mdp[cli" in line) == (extra in ("provider", "sim"))
    assert 'all = ["mdp[provider,sim,zst]"]' in text
    assert 'dependencies = ["numpy>=1.26"]' in text
