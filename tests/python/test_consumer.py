"""An outside C++17 project builds against mdp::shm alone, wherever the CMake package comes from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("Boost", "OpenSSL", "simdjson", "spdlog", "GTest", "Threads", "SPSCQueue")

pytestmark = pytest.mark.integration


def run(*command: str | Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def build_consumer(package_dir: Path, build: Path) -> Path:
    """Build examples/ against the CMake package in `package_dir`; return top_of_book."""
    run("cmake", "-S", ROOT / "examples", "-B", build, f"-Dmdp_DIR={package_dir}")
    run("cmake", "--build", build)
    return build / "top_of_book"


def check_runs(program: Path) -> None:
    """Run top_of_book, in C++ and in C, where there is no segment: it says so."""
    for path in (program, program.with_name("top_of_book_c")):
        done = subprocess.run(
            [str(path), "mdp-no-such-segment", "X"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "mdp-no-such-segment: no such segment" in done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a prefix with mdp::shm, installed on a machine that has none of our libraries."""
    if not (ROOT / "cpp/include/mdp/shm/shm.hpp").exists():
        pytest.skip("mdp/shm/shm.hpp is not written yet")
    build, prefix = tmp_path_factory.mktemp("shm-build"), tmp_path_factory.mktemp("prefix")
    without = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=TRUE" for name in LIBRARIES]
    run("cmake", "-S", ROOT, "-B", build, "-DMDP_SHM_ONLY=ON", *without)
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix


def test_installed_prefix_has_headers_and_both_package_files(prefix: Path) -> None:
    assert (prefix / "include/mdp/shm/shm.hpp").is_file()
    assert (prefix / "lib/cmake/mdp/mdpConfig.cmake").is_file()
    assert (prefix / "lib/pkgconfig/mdp-shm.pc").is_file()
    assert str(ROOT) not in (prefix / "lib/cmake/mdp/mdpTargets.cmake").read_text()


def test_consumer_builds_against_installed_prefix(prefix: Path, tmp_path: Path) -> None:
    check_runs(build_consumer(prefix / "lib/cmake/mdp", tmp_path))


def test_consumer_builds_against_moved_prefix(prefix: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(prefix, tmp_path / "moved")
    check_runs(build_consumer(moved / "lib/cmake/mdp", tmp_path / "build"))


def test_consumer_builds_against_python_package(tmp_path: Path) -> None:
    mdp = pytest.importorskip("mdp")
    found = [Path(p) / "lib/cmake/mdp" for p in mdp.__path__ if (Path(p) / "lib/cmake/mdp").is_dir()]
    assert found, f"no lib/cmake/mdp below any of {list(mdp.__path__)}"
    check_runs(build_consumer(found[0], tmp_path))


def test_consumer_builds_with_pkg_config(prefix: Path, tmp_path: Path) -> None:
    pkg_config = shutil.which("pkg-config")
    if pkg_config is None:
        pytest.skip("pkg-config is not installed")
    flags = run("env", f"PKG_CONFIG_PATH={prefix}/lib/pkgconfig", pkg_config, "--cflags", "--libs", "mdp-shm")
    compiler = os.environ.get("CXX", "c++")
    run(
        compiler,
        "-std=c++17",
        ROOT / "examples/cpp/top_of_book.cpp",
        "-o",
        tmp_path / "top_of_book",
        *flags.split(),
    )
