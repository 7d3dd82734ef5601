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


# ---- the library ----

CALLS_LIBRARY = """
#include <mdp/shm/mdp_shm_library.h>
int main(void) {
  struct mdp_shm_subscriber* shm = mdp_shm_subscriber_new();
  struct mdp_shm_book_keeper* book = mdp_shm_keeper_new();
  const int right = shm && book && !mdp_shm_is_open(shm) && mdp_shm_abi_version() == MDP_SHM_ABI_VERSION &&
      mdp_shm_size_of(MDP_SHM_TYPE_BOOK_ENTRY) == sizeof(struct mdp_shm_book_entry);
  mdp_shm_keeper_delete(book);
  mdp_shm_subscriber_delete(shm);
  return right ? 0 : 1;
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(calls LANGUAGES C CXX)
find_package(mdp 0.1 CONFIG REQUIRED COMPONENTS shm shm_c)
add_executable(calls calls.c)
target_link_libraries(calls PRIVATE mdp::shm_c)
"""


@pytest.fixture(scope="module")
def library_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a prefix that was moved after the library was installed there, with a C compiler alone."""
    build, prefix = tmp_path_factory.mktemp("library-build"), tmp_path_factory.mktemp("library") / "first"
    without = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=TRUE" for name in LIBRARIES]
    run("cmake", "-S", ROOT, "-B", build, "-DMDP_SHM_ONLY=ON", "-DMDP_SHM_LIBRARY=ON", *without)
    run("cmake", "--build", build, "--target", "mdp_shm_c")
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix.rename(prefix.with_name("second"))


def test_installed_library_has_its_soname(library_prefix: Path) -> None:
    library = library_prefix / "lib/libmdp_shm.so.1"
    assert (library_prefix / "lib/libmdp_shm.so").resolve() == library.resolve()
    assert "SONAME" in (said := run("readelf", "-d", library))
    assert "[libmdp_shm.so.1]" in said


def test_program_links_the_library_with_cmake(library_prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "calls.c").write_text(CALLS_LIBRARY)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    build = tmp_path / "build"
    run("cmake", "-S", tmp_path, "-B", build, f"-Dmdp_DIR={library_prefix / 'lib/cmake/mdp'}")
    run("cmake", "--build", build)
    run(build / "calls")


def test_program_links_the_library_with_pkg_config(library_prefix: Path, tmp_path: Path) -> None:
    pkg_config = shutil.which("pkg-config")
    if pkg_config is None:
        pytest.skip("pkg-config is not installed")
    path = f"PKG_CONFIG_PATH={library_prefix}/lib/pkgconfig"
    flags = run("env", path, pkg_config, "--cflags", "--libs", "mdp-shm-c").split()
    source, program = tmp_path / "calls.c", tmp_path / "calls"
    source.write_text(CALLS_LIBRARY)
    run(os.environ.get("CC", "cc"), "-std=c99", "-pedantic", "-Werror", source, "-o", program, *flags)
    run("env", f"LD_LIBRARY_PATH={library_prefix}/lib", program)


def test_headers_alone_have_no_library_component(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    with pytest.raises(AssertionError, match="no component 'shm_c' here"):
        run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-Dmdp_DIR={prefix / 'lib/cmake/mdp'}")
