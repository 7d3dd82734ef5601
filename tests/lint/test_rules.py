"""The tree keeps its rules, and each rule finds a fault where there is one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def load_rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rules", HERE / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SRC = "cpp/src/mdp/"
SHM = "cpp/include/mdp/shm/"
REGISTRY = SRC + "venue/registry.def"
INCLUDES = "include_direction"

rules = load_rules()
RULES = [
    rules.include_direction,
    rules.strings_cross_leniently,
    rules.venue_isolation,
    rules.shm_is_alone,
    rules.registry_numbers,
    rules.venue_words,
    rules.machine_independence,
    rules.large_files,
    rules.documents_name_files,
    rules.columns,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_tree_keeps_rule(rule) -> None:
    faults = rule(ROOT)
    assert not faults, "\n" + "\n".join(faults)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a small tree without faults, with the link lists of the real one."""
    write(tmp_path, "cpp/CMakeLists.txt", (ROOT / "cpp/CMakeLists.txt").read_text())
    write(tmp_path, SRC + "book/order_book.hpp", '#include "mdp/core/ids.hpp"\n')
    write(tmp_path, SRC + "net/socket.cpp", "#include <boost/asio.hpp>\n#include <openssl/ssl.h>\n")
    write(tmp_path, SRC + "engine/engine.cpp", '#include "mdp/core/ids.hpp"\n#include <spdlog/spdlog.h>\n')
    write(tmp_path, SRC + "queue/spsc_queue.hpp", "#include <rigtorp/SPSCQueue.h>\n")
    write(
        tmp_path,
        SRC + "venue/kraken/parser.cpp",
        '#include <simdjson.h>\n#include "mdp/venue/kraken/a.hpp"\n',
    )
    write(tmp_path, SRC + "venue/binance_spot/venue.cpp", '#include "mdp/venue/binance/family.hpp"\n')
    write(tmp_path, SRC + "venue/binance/family.cpp", '#include "mdp/venue/binance/family.hpp"\n')
    write(tmp_path, REGISTRY, 'MDP_VENUE(1, binance_spot, "binance")\nMDP_VENUE(3, kraken, "kraken")\n')
    write(tmp_path, SHM + "event.hpp", "#include <cstdint>\n#include <sys/mman.h>\n")
    write(tmp_path, SHM + "shm.hpp", "#include <mdp/shm/event.hpp>\n")
    write(
        tmp_path, "bindings/module.cpp", '#include <nanobind/nanobind.h>\n#include "mdp/engine/engine.hpp"\n'
    )
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_faultless_tree_passes(tree: Path, rule) -> None:
    assert rule(tree) == []


@pytest.mark.parametrize(
    ("rule", "name", "text", "fault"),
    [
        (INCLUDES, SRC + "book/a.hpp", '#include "mdp/net/socket.hpp"\n', "no arrow leads to net"),
        (INCLUDES, SRC + "core/a.hpp", "#include <mdp/engine/engine.hpp>\n", "no arrow leads to engine"),
        (INCLUDES, SRC + "engine/b.hpp", '#include "mdp/replay/replay.hpp"\n', "no arrow leads to replay"),
        (INCLUDES, SRC + "queue/a.hpp", '#include "mdp/core/ids.hpp"\n', "no arrow leads to core"),
        (INCLUDES, SRC + "venue/kraken/a.cpp", "#include <boost/json.hpp>\n", "home of Boost"),
        (INCLUDES, SRC + "engine/a.cpp", "  # include <openssl/ssl.h>\n", "home of OpenSSL"),
        (INCLUDES, SRC + "book/a.cpp", "#include <simdjson.h>\n", "home of simdjson"),
        (INCLUDES, SRC + "core/a.cpp", "#include <spdlog/spdlog.h>\n", "home of spdlog"),
        (INCLUDES, SRC + "engine/a.cpp", "#include <zlib.h>\n", "home of ZLIB"),
        (INCLUDES, SRC + "engine/a.cpp", "#include <nanobind/nanobind.h>\n", "home of nanobind"),
        (INCLUDES, SRC + "publish/a.hpp", "#include <rigtorp/SPSCQueue.h>\n", "home of SPSCQueue"),
        (INCLUDES, SRC + "extra/a.hpp", "", "no mdp_library() line"),
        (
            "strings_cross_leniently",
            "bindings/a.cpp",
            "#include <nanobind/stl/string.h>\n",
            "decodes strictly; include text.hpp",
        ),
        (
            "venue_isolation",
            SRC + "venue/okx/a.cpp",
            '#include "mdp/venue/kraken/a.hpp"\n',
            "venue okx includes",
        ),
        (
            "venue_isolation",
            SRC + "venue/okx/a.cpp",
            '#include "mdp/venue/binance/a.hpp"\n',
            "venue okx includes",
        ),
        (
            "venue_isolation",
            SRC + "venue/binance/a.cpp",
            '#include "mdp/venue/binance_spot/a.hpp"\n',
            "venue binance includes",
        ),
        (
            "venue_isolation",
            SRC + "venue/kraken_futures/a.cpp",
            '#include "mdp/venue/kraken/a.hpp"\n',
            "venue kraken_futures includes",
        ),
        ("shm_is_alone", SHM + "a.hpp", "#include <boost/config.hpp>\n", "neither a system header"),
        ("shm_is_alone", SHM + "a.hpp", '#include "mdp/core/ids.hpp"\n', "neither a system header"),
        ("shm_is_alone", SHM + "a.hpp", "#include <mdp/shm/gone.hpp>\n", "no public header"),
        ("registry_numbers", REGISTRY, "MDP_VENUE(1, a)\nMDP_VENUE(1, b)\n", "both a and b"),
        ("registry_numbers", REGISTRY, "MDP_VENUE(1, a)\nMDP_VENUE(2, a)\n", "both 1 and 2"),
        (
            "venue_words",
            SRC + "core/a.cpp",
            'if (name == "okx") return 1;\n',
            "a.cpp:1: 'okx' is a venue's own",
        ),
        ("venue_words", SRC + "net/a.hpp", "\n/* a\n b */ int kMbx;\n", "a.hpp:3: 'Mbx' is"),
        ("venue_words", "bindings/a.cpp", 'get("https://x.com/fapi/v1/depth");\n', "'/fapi/v1' is"),
        (
            "venue_words",
            "python/mdp/a.py",
            '"""\nHTX.\n"""\nok = status == "TRADING"\n',
            "a.py:4: '\"TRADING\"' is",
        ),
        ("venue_words", "python/mdp/sim/a.py", 'path = "/api/v3/depth"\n', "a.py:1: '/api/v3' is"),
        ("venue_words", "python/mdp/sim/wire/a.py", "import binance\n", "a.py:1: 'binance' is"),
        (
            "documents_name_files",
            "docs/a.md",
            "x\nsee `book/gone.hpp`\n",
            "a.md:2: there is no file",
        ),
        ("columns", "bindings/a.cpp", "int a;\n//" + "x" * 109 + "\n", "a.cpp:2: 111 columns"),
        ("machine_independence", "docs/a.md", "see /" + "work/notes.md\n", "machine path"),
        ("machine_independence", "Makefile", "PY = /" + "root/.pyenv/bin/python\n", "machine path"),
        ("machine_independence", "a.txt", "--index-url https://pypi." + "org/simple\n", "package host"),
        ("large_files", "docs/a.txt", "x" * ((1 << 20) + 1), "the limit is"),
    ],
)
def test_fault_is_found(tree: Path, rule: str, name: str, text: str, fault: str) -> None:
    write(tree, name, text)
    faults = getattr(rules, rule)(tree)
    assert any(fault in line for line in faults), faults


@pytest.mark.parametrize(
    ("history", "fault"),
    [
        ("-MDP_VENUE(3, bitfinex)\n", "3 was bitfinex once"),
        ("-MDP_VENUE(2, kraken)\n", "kraken was 2 once"),
    ],
)
def test_number_once_given_to_another_venue_is_found(tree: Path, history: str, fault: str) -> None:
    faults = rules.registry_numbers(tree, history)
    assert any(fault in line for line in faults), faults


def test_a_venue_may_be_an_example(tree: Path) -> None:
    write(tree, SRC + "core/a.hpp", '// as Kraken does\nint a;  // binance\nconst char* kUrl = "wss://x";\n')
    write(tree, "python/mdp/a.py", '"""As Binance."""\nhelp = "BTCUSDT or binance:BTC-USDT."  # okx\n')
    write(tree, "python/mdp/sim/wire/binance/a.py", 'path = "/api/v3/depth"\n')
    write(tree, "python/mdp/sim/wire/__init__.py", "from mdp.sim.wire import binance\n")
    assert rules.venue_words(tree) == []


def test_commented_out_include_is_ignored(tree: Path) -> None:
    write(tree, SRC + "book/a.hpp", '// #include "mdp/net/socket.hpp"\n')
    assert rules.include_direction(tree) == []


def test_a_document_names_files_by_their_last_parts(tree: Path) -> None:
    text = "`book/order_book.hpp`, `event.hpp`, `docs/a.md`, `<folder>/parser.cpp`\n```\n`gone.py`\n```\n"
    write(tree, "docs/a.md", text)
    assert rules.documents_name_files(tree) == []
