"""Rules of the tree that no compiler checks. Each takes the root of a tree and returns its faults as lines.

The dependency arrows are not repeated here: they are the link lists of cpp/CMakeLists.txt.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
SOURCE_SUFFIXES = {".cpp", ".hpp", ".h"}

# How an include of a third-party library begins, by the CMake package that brings it. Its home is the folder
# whose link list names the package; nanobind's is bindings/,
# and that of SPSCQueue, which CMake adds by itself, is queue/.
THIRD_PARTY = {
    "Boost": ("boost/",),
    "OpenSSL": ("openssl/",),
    "simdjson": ("simdjson.h", "simdjson/"),
    "spdlog": ("spdlog/", "fmt/"),
    "ZLIB": ("zlib.h",),
    "nanobind": ("nanobind/",),
    "SPSCQueue": ("rigtorp/",),
}


def link_lists(root: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Read per folder of cpp/src/mdp the folders it links and the third-party packages it links."""
    text = re.sub(r"#.*", "", (root / "cpp/CMakeLists.txt").read_text())
    folders: dict[str, tuple[set[str], set[str]]] = {"shm": (set(), set())}
    for arguments in re.findall(r"mdp_library\(([^)]*)\)", text):
        name, *rest = arguments.split()
        targets = [word.split("::", 1) for word in rest if "::" in word]
        ours = {target for package, target in targets if package == "mdp"}
        theirs = {package for package, _ in targets if package not in {"mdp", "Threads"}}
        folders[name] = (ours, theirs)
    folders["queue"][1].add("SPSCQueue")
    return folders


def reachable(folder: str, lists: dict[str, tuple[set[str], set[str]]]) -> set[str]:
    """Give the folders that the arrows lead to from `folder`, and itself."""
    seen, todo = {folder}, [folder]
    while todo:
        for target in lists.get(todo.pop(), (set(), set()))[0] - seen:
            seen.add(target)
            todo.append(target)
    return seen


def includes(path: Path) -> list[tuple[int, str, str]]:
    """List the includes of a file: line, bracket, name."""
    text = path.read_text()
    found = INCLUDE.finditer(text)
    return [(text.count("\n", 0, hit.start(2)) + 1, hit[1], hit[2]) for hit in found]


def sources(folder: Path) -> list[Path]:
    """List the C++ files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCE_SUFFIXES)


def third_party(name: str) -> str | None:
    """Name the package that an include belongs to, if it is one of ours to watch."""
    for package, prefixes in THIRD_PARTY.items():
        if name.startswith(prefixes):
            return package
    return None


def include_direction(root: Path) -> list[str]:
    """Includes follow the arrows, and a third-party library is included in its home alone."""
    faults = []
    lists = link_lists(root)
    homes = [(path, path.name) for path in sorted((root / "cpp/src/mdp").iterdir()) if path.is_dir()]
    if (root / "bindings").is_dir():
        homes.append((root / "bindings", "bindings"))
        lists["bindings"] = ({"engine", "replay", "shm"}, {"nanobind"})
    for folder, name in homes:
        if name not in lists:
            faults.append(f"{folder.relative_to(root)}: has no mdp_library() line in cpp/CMakeLists.txt")
            continue
        allowed = reachable(name, lists)
        for path in sources(folder):
            for line, _, included in includes(path):
                where = f"{path.relative_to(root)}:{line}"
                ours = re.match(r"mdp/(\w+)/", included)
                package = third_party(included)
                if ours and ours[1] not in allowed:
                    faults.append(f"{where}: {name} may not include {included}; no arrow leads to {ours[1]}")
                if package and package not in lists[name][1]:
                    faults.append(f"{where}: {included} is outside the home of {package}")
    return faults


def strings_cross_leniently(root: Path) -> list[str]:
    """The casters of strings in bindings/ are our own: nanobind's raise where a text is no UTF-8."""
    return [
        f"{path.relative_to(root)}:{line}: {included} decodes strictly; include text.hpp"
        for path in sources(root / "bindings")
        for line, _, included in includes(path)
        if included in ("nanobind/stl/string.h", "nanobind/stl/string_view.h")
    ]


def registry_names(root: Path) -> set[str]:
    """List the folders that registry.def makes venues."""
    path = root / "cpp/src/mdp/venue/registry.def"
    text = path.read_text() if path.exists() else ""
    return set(re.findall(r"^\s*MDP_VENUE\(\s*\d+\s*,\s*(\w+)\s*[,)]", text, re.MULTILINE))


def venue_isolation(root: Path) -> list[str]:
    """A venue never includes another venue.

    Venues of one family (binance_spot, binance_usdm) may include its library, the folder of the family's name
    (binance): what they share is there once. A library is no venue, so it has no registry line.
    """
    faults = []
    venues = registry_names(root)
    for folder in sorted((root / "cpp/src/mdp/venue").glob("*/")):
        for path in sources(folder):
            for line, _, included in includes(path):
                other = re.match(r"mdp/venue/(\w+)/", included)
                if not other or other[1] == folder.name:
                    continue
                if other[1] in venues or not folder.name.startswith(other[1] + "_"):
                    faults.append(f"{path.relative_to(root)}:{line}: venue {folder.name} includes {included}")
    return faults


# What only a venue's own folder may know: names of venues, and words of their protocols.
VENUE_WORDS = re.compile(
    r"binance|bybit|okx|kraken|kucoin|coinbase|bitget|bitfinex|bitstamp|deribit|gemini|hyperliquid"
    r"|crypto[._-]?com|\bhtx\b|huobi|gate[._-]?io"
    r"|mbx|used-weight|/[fd]?api/v\d|exchangeInfo|depthUpdate|bookTicker|aggTrade|lastUpdateId|[\"']TRADING[\"']",
    re.IGNORECASE,
)
# Text for people may show what a symbol looks like.
VENUE_EXAMPLES = re.compile(r"binance:BTC-USDT|canonical symbols: \\?\"binance\\?\"")
# Comments and docstrings: to name an example is no knowledge. A string has no line of its own in them.
CPP_COMMENT = re.compile(r"(?<![:\"\w])//[^\n]*|/\*.*?\*/", re.DOTALL)
PYTHON_COMMENT = re.compile(r'"""' + r'.*?"""|(?<!["\'\w])#[^\n]*', re.DOTALL)


def venue_words(root: Path) -> list[str]:
    """Nothing outside venue/ and sim/wire/ knows a venue: no name, path or header of one in code."""
    faults = []
    files = [path for folder in ("cpp/include", "cpp/src/mdp", "bindings") for path in sources(root / folder)]
    files += sorted((root / "python/mdp").rglob("*.py"))
    for path in files:
        name = path.relative_to(root).as_posix()
        # (a registry of the sim is a file of sim/wire itself, and names the folders)
        if name.startswith("cpp/src/mdp/venue/") or re.match(
            r"python/mdp/sim/wire/(\w+/|__init__\.py)", name
        ):
            continue
        comment = PYTHON_COMMENT if path.suffix == ".py" else CPP_COMMENT
        # As many lines as before.
        code = comment.sub(lambda hit: "\n" * hit[0].count("\n"), path.read_text())
        for number, line in enumerate(VENUE_EXAMPLES.sub("", code).splitlines(), 1):
            if found := VENUE_WORDS.search(line):
                faults.append(f"{name}:{number}: {found[0]!r} is a venue's own; ask core::Venue for it")
    return faults


def shm_is_alone(root: Path) -> list[str]:
    """The public headers include the standard library, the system and each other, nothing else."""
    faults = []
    for path in sources(root / "cpp/include/mdp/shm"):
        for line, bracket, included in includes(path):
            where = f"{path.relative_to(root)}:{line}"
            if included.startswith("mdp/shm/"):
                if not (root / "cpp/include" / included).is_file():
                    faults.append(f"{where}: {included} is no public header")
            elif bracket == '"' or third_party(included) or included.startswith("mdp/"):
                faults.append(f"{where}: {included} is neither a system header nor one of mdp/shm")
    return faults


def registry_numbers(root: Path, history: str | None = None) -> list[str]:
    """Venue numbers are unique, and none was ever another venue's (`history`: all text the file once had)."""
    path = root / "cpp/src/mdp/venue/registry.def"
    if not path.exists():
        return []
    entry = re.compile(r"^[ +-]?\s*MDP_VENUE\(\s*(\d+)\s*,\s*(\w+)\s*[,)]", re.MULTILINE)
    faults = []
    numbers: dict[str, str] = {}
    names: dict[str, str] = {}
    for number, name in entry.findall(path.read_text()):
        if number in numbers:
            faults.append(f"registry.def: {number} is both {numbers[number]} and {name}")
        if name in names:
            faults.append(f"registry.def: {name} has both {names[name]} and {number}")
        numbers[number], names[name] = name, number
    if history is None:
        command = ["git", "log", "--patch", "--format=", "--", str(path.relative_to(root))]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        history = done.stdout if done.returncode == 0 else ""
    for number, name in sorted(set(entry.findall(history))):
        if numbers.get(number, name) != name:
            faults.append(f"registry.def: {number} was {name} once and can't become {numbers[number]}")
        if names.get(name, number) != number:
            faults.append(f"registry.def: {name} was {number} once and can't become {names[name]}")
    return faults


# Put together from pieces so that this file passes its own rule.
MACHINE_PATH = re.compile(r"(?<![\w.$})~-])/(?:work|root|home/\w+|Users/\w+)" + "/")
PACKAGE_HOSTS = re.compile(
    "|".join(
        re.escape(host + "." + domain)
        for host, domain in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("deb.debian", "org"),
            ("archive.ubuntu", "com"),
            ("npmjs", "org"),
            ("crates", "io"),
            ("proxy.golang", "org"),
            ("conan", "io"),
            ("jfrog", "io"),
            ("pkg", "dev"),
        )
    )
)


def tracked_files(root: Path) -> list[Path]:
    """List what git knows or would add; where there is no git, every file outside build products."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]
    skip = {".git", ".venv", "build", "dist"}
    return [p for p in root.rglob("*") if p.is_file() and not skip & set(p.relative_to(root).parts)]


def machine_independence(root: Path) -> list[str]:
    """No file names a path of somebody's machine or the host of a package registry."""
    faults = []
    for path in tracked_files(root):
        relative = path.relative_to(root)
        if relative.parts[:2] == ("tests", "data"):
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            for kind, pattern in (("machine path", MACHINE_PATH), ("package host", PACKAGE_HOSTS)):
                hit = pattern.search(line)
                if hit:
                    faults.append(f"{relative}:{number}: {kind} {hit[0]}")
    return faults


def large_files(root: Path, limit: int = 1 << 20) -> list[str]:
    """No file outside tests/data is larger than a mebibyte."""
    return [
        f"{path.relative_to(root)}: {path.stat().st_size} bytes; the limit is {limit}"
        for path in tracked_files(root)
        if path.stat().st_size > limit and path.relative_to(root).parts[:2] != ("tests", "data")
    ]


FILE_NAME = re.compile(r"`([\w./-]+\.(?:hpp|cpp|h|c|py|md|def|yaml|toml|cmake))`")


def documents_name_files(root: Path) -> list[str]:
    """A file that a document names in backticks is there: whole, below a source folder, or by its last parts.

    Names of what a reader is to make, or has elsewhere, are in angle brackets or in a code block.
    """
    tracked = [path.relative_to(root).as_posix() for path in tracked_files(root)]
    faults = []
    for document in tracked:
        if not document.endswith(".md") or document == "CHANGELOG.md":
            continue
        text = re.sub(r"^```.*?^```", "", (root / document).read_text(), flags=re.DOTALL | re.MULTILINE)
        beside = Path(document).parent
        for number, line in enumerate(text.splitlines(), 1):
            for name in FILE_NAME.findall(line):
                if (root / beside / name).exists():
                    continue
                if not any(path == name or path.endswith("/" + name.lstrip("./")) for path in tracked):
                    faults.append(f"{document}:{number}: there is no file {name}")
    return faults


COLUMNS = 110
# What is not text to be wrapped may be a little longer: a table, a list or a picture in a comment, and a
# message as a venue sends it.
DRAWN_COLUMNS = 124
DRAWN = re.compile(r"^\s*(?://|\*).*(?:\S  +\S|   |\|)|[{\[]\"|\w\":|R\"\(")


def columns(root: Path) -> list[str]:
    """No line of C or C++ is longer than 110 columns, comments included (ruff looks at Python)."""
    faults = []
    for path in tracked_files(root):
        if path.suffix not in SOURCE_SUFFIXES | {".c", ".def"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > (DRAWN_COLUMNS if DRAWN.search(line) else COLUMNS):
                faults.append(
                    f"{path.relative_to(root)}:{number}: {len(line)} columns; the limit is {COLUMNS}"
                )
    return faults
