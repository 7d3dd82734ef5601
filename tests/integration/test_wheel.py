"""The wheel as its users get it: built, installed away from the tree, and built against."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from mdp.commands import COMMANDS
from python.test_consumer import ROOT, build_consumer, check_runs, run

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, which takes minutes, and give a folder with what is in it."""
    dist, site = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", f"--config-settings=build-dir={ROOT}/build/wheel")
    run(*pip, "wheel", ROOT, "--wheel-dir", dist, *options)
    (wheel,) = dist.glob("mdp-*.whl")
    run(*pip, "install", "--no-deps", "--no-index", "--target", site, wheel)
    return site


def mdp(installed: Path, *arguments: str) -> str:
    """Run `python -m mdp` of the wheel, in a Python that doesn't know the editable install."""
    done = subprocess.run(
        [sys._base_executable, "-m", "mdp", *arguments],  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{sysconfig.get_path('purelib')}"},
        cwd=installed,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_plain_install_reads_and_says_what_the_rest_needs(installed: Path, tmp_path: Path) -> None:
    site = Path(sysconfig.get_path("purelib"))
    for found in site.glob("numpy*"):  # what the wheel depends on, and nothing else
        (tmp_path / found.name).symlink_to(found)
    (wheel,) = installed.glob("mdp-*.dist-info")
    requires = re.findall(r"^Requires-Dist: (.*)$", (wheel / "METADATA").read_text(), re.MULTILINE)
    assert [line for line in requires if "extra ==" not in line] == ["numpy>=1.26"]

    def plain(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys._base_executable, "-S", *arguments],  # type: ignore[attr-defined]
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{tmp_path}"},
            cwd=installed,
        )

    version = plain("-m", "mdp", "--version")
    assert (version.returncode, version.stderr) == (0, "")
    reader = plain("-c", "import mdp; mdp.Subscriber('mdp-test-none')")
    assert "no such segment" in reader.stderr.splitlines()[-1]
    for command, (_, extra) in COMMANDS.items():
        refused = plain("-m", "mdp", command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.endswith(f"which is not installed: pip install 'mdp[{extra}]'\n")
        assert refused.stderr.count("\n") == 1


def test_outside_project_builds_with_what_the_wheel_brings(installed: Path, tmp_path: Path) -> None:
    package = Path(mdp(installed, "--cmake-dir"))
    assert installed in package.parents, "it is the wheel's"
    assert str(ROOT) not in (package / "mdpTargets.cmake").read_text()
    check_runs(build_consumer(package, tmp_path))


def test_c_program_builds_with_pkg_config_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    include = Path(mdp(installed, "--include-dir"))
    assert (include / "mdp/shm/mdp_shm_os.h").is_file()
    files = installed / "mdp/lib/pkgconfig"
    try:
        flags = run("env", f"PKG_CONFIG_PATH={files}", "pkg-config", "--cflags", "--libs", "mdp-shm").split()
    except FileNotFoundError:
        pytest.skip("pkg-config is not installed")
    program = tmp_path / "top_of_book_c"
    run(os.environ.get("CC", "cc"), "-std=c99", ROOT / "examples/c/top_of_book.c", "-o", program, *flags)
    done = subprocess.run([program, "mdp-no-such-segment", "X"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no such segment" in done.stderr


def test_wheel_brings_the_library_for_other_languages(installed: Path) -> None:
    library = Path(mdp(installed, "--shm-library"))
    assert installed in library.parents, "it is the wheel's"
    assert ctypes.CDLL(str(library)).mdp_shm_abi_version() == 1


def test_wheel_holds_no_test_and_no_build_file(installed: Path) -> None:
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert "mdp/py.typed" in names
    assert "mdp/_core.pyi" in names
    assert not [name for name in names if name.startswith("tests") or name.endswith((".cpp", ".o", ".a"))]
