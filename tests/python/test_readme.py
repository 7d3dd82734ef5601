"""Programs in the documents run, as they stand there, against a live publisher."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.live import DEADLINE_S, ROOT, LivePublisher

DOCUMENTS = ("README.md", "docs/reading.md")
COMPILERS = {
    "c": (os.environ.get("CC", "cc"), "-std=c99"),
    "cpp": (os.environ.get("CXX", "c++"), "-std=c++17"),
}


def programs(language: str) -> list[object]:
    """List the blocks of a language, named by document and number."""
    found: list[object] = []
    for document in DOCUMENTS:
        blocks = re.findall(
            rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE
        )
        found += [pytest.param(text, id=f"{document}-{number}") for number, text in enumerate(blocks)]
    return found


def lines_of(command: list[str | Path]) -> list[str]:
    """Run a program that reads `command[-1]`, publish until it prints, stop; return what it printed."""
    with LivePublisher(str(command[-1])) as publisher:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
        errors: list[str] = []
        watcher = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
        reader.start()
        watcher.start()
        try:
            deadline = time.monotonic() + DEADLINE_S
            # Several lines: the first may be the book's, before any event was read.
            while len(lines) < 5 and process.poll() is None:
                assert time.monotonic() < deadline, "it printed nothing"
                publisher.fill(20)
                time.sleep(0.001)
            publisher.stop()
            assert process.wait(DEADLINE_S) == 0, "".join(errors)
        finally:
            process.kill()
            process.wait()
            reader.join()
            watcher.join()
        assert errors == []
        return lines


@pytest.mark.parametrize("text", programs("python"))
def test_python_program_runs(text: str) -> None:
    segment = f"mdp-test-doc-{os.getpid()}-{time.monotonic_ns()}"
    assert text.count('Subscriber("mdp"') == 1
    # Unbuffered, so that what it prints is seen; the segment's name comes last, for lines_of().
    program = text.replace('Subscriber("mdp"', f'Subscriber("{segment}"')
    lines = lines_of([sys.executable, "-u", "-c", program, segment])
    assert any("test:" in line or re.match(r"\d+ ", line) for line in lines)


@pytest.mark.parametrize(
    ("language", "text"),
    [pytest.param(lang, *p.values, id=p.id) for lang in COMPILERS for p in programs(lang)],  # type: ignore[attr-defined]
)
def test_compiled_program_runs(language: str, text: str, tmp_path: Path) -> None:
    source, program = tmp_path / f"program.{language}", tmp_path / "program"
    source.write_text(text)
    command = [*COMPILERS[language], "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/cpp/include"]
    done = subprocess.run(
        [*command, source, "-o", program, "-lrt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = lines_of([program, f"mdp-test-doc-{os.getpid()}-{time.monotonic_ns()}"])
    assert any(re.search(r"\d+(\.\d+)?$", line) for line in lines)


def test_readme_shows_the_consumer_that_is_compiled() -> None:
    block = re.search(r"^```cpp\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block
    assert block[1] == (ROOT / "examples/cpp/trades.cpp").read_text()


def test_documents_have_programs_in_each_language() -> None:
    assert [len(programs(language)) for language in ("python", "cpp", "c")] == [4, 2, 1]
