"""conanfile.txt pins every library, and its graph resolves; nothing is fetched."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"boost", "openssl", "simdjson", "spdlog", "spscqueue", "zlib", "gtest", "benchmark"}


def requirements() -> dict[str, str]:
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("=",))
    parser.read(ROOT / "conanfile.txt")
    return dict(line.split("/", 1) for line in parser["requires"])


def test_every_library_is_required_with_one_exact_version() -> None:
    found = requirements()
    assert set(found) == NAMES
    for name, version in found.items():
        assert re.fullmatch(r"\d+(\.\d+)+", version), f"{name}/{version} is not one exact version"


def test_generators_are_those_of_cmake() -> None:
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "conanfile.txt")
    assert set(parser["generators"]) == {"CMakeDeps", "CMakeToolchain"}


@pytest.mark.integration
def test_graph_resolves_offline_with_platform_packages(tmp_path: Path) -> None:
    conan = shutil.which("conan", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if conan is None:
        pytest.skip("conan is not installed")
    replace = "\n".join(f"{name}/*: {name}/system" for name in sorted(NAMES))
    platform = "\n".join(f"{name}/system" for name in sorted(NAMES))
    profile = tmp_path / "system.profile"
    profile.write_text(f"include(default)\n[replace_requires]\n{replace}\n[platform_requires]\n{platform}\n")
    env = {**os.environ, "CONAN_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> str:
        done = subprocess.run([conan, *arguments], capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("profile", "detect")
    output = tmp_path / "generated"
    # A copy, so that Conan finds no CMakeLists.txt beside it and writes no CMakeUserPresets.json there.
    copy = shutil.copy(ROOT / "conanfile.txt", tmp_path)
    log = run(
        *("install", str(copy), "--profile:all", str(profile)),
        *("--settings", "compiler.cppstd=20", "--no-remote", "--output-folder", str(output)),
    )
    for name in NAMES:
        assert f"{name}/system" in log
    assert (output / "conan_toolchain.cmake").is_file(), log
