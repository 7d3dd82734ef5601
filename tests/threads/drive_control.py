"""Drive one provider from many threads at once, for the thread sanitizer to watch: see tests/CMakeLists.txt.

Run as ``drive_control.py EXTENSION [SYMBOLS]`` with the sanitizer's runtime preloaded. EXTENSION is mdp._core
built with the sanitizer; the package around it is the one that is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
import urllib.request
from pathlib import Path


def _load(extension: Path) -> None:
    """Put the sanitized extension in the place of the installed one."""
    spec = importlib.util.spec_from_file_location("mdp._core", extension)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mdp._core"] = module
    spec.loader.exec_module(module)


def main(extension: Path, symbol_count: int) -> None:
    """Add, remove, resync, ask for health and scrape metrics, each from a thread of its own."""
    _load(extension)
    preload = os.environ.pop("LD_PRELOAD", "")  # the exchange is a process of its own, without the sanitizer

    from mdp import Provider
    from mdp.configuring.config import parse_config
    from mdp.sim import start_sim_process

    assert preload, "the sanitizer's runtime is not preloaded: nothing would be watched"
    sim = start_sim_process(symbols=symbol_count + 2, rate=1)
    first, names = sim.symbols[:2], sim.symbols[2:]
    provider = Provider(
        parse_config(
            json.dumps(
                {
                    "segment": {
                        "name": f"mdp-test-threads-{os.getpid()}",
                        "instruments": symbol_count + 2,
                    },
                    "engine": {"topology": "pipelined", "idle": "park"},
                    "metrics": {"port": 0, "host": "127.0.0.1"},
                    "venues": [
                        {
                            "name": "binance",
                            "ws_url": sim.ws_url,
                            "rest_url": sim.rest_url,
                            "tls": {"ca_file": str(sim.ca_file)},
                            "symbols": first,
                        }
                    ],
                }
            )
        )
    )
    over = threading.Event()
    errors: list[BaseException] = []
    counts: dict[str, int] = {}

    def thread(name: str, step: object) -> threading.Thread:
        def run() -> None:
            try:
                while not over.is_set():
                    step()  # type: ignore[operator]
                    counts[name] = counts.get(name, 0) + 1
            except BaseException as error:
                errors.append(error)
                over.set()

        return threading.Thread(target=run, name=name)

    def scrape() -> None:
        assert provider._metrics is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{provider._metrics.port}/metrics") as page:
            assert b"mdp_books" in page.read()

    def look() -> None:
        health = provider.health()
        assert health.symbols == health.live + health.syncing + health.stale
        assert len(provider.states()) >= 2
        provider.missing()

    provider.start()
    try:
        threads = [
            thread("health", look),
            thread("health again", look),
            thread("metrics", scrape),
            thread("resync", lambda: provider.resync(0)),
        ]
        for one in threads:
            one.start()
        added: list[int] = []
        for name in names:
            if over.is_set():
                break
            added.append(provider.subscribe("binance", name))
            if len(added) > 8:
                assert provider.unsubscribe(added.pop(0))
        deadline = time.monotonic() + 60
        while any(counts.get(one.name, 0) < 3 for one in threads) and not over.is_set():
            assert time.monotonic() < deadline, f"a thread had no turn: {counts}"
            time.sleep(0.01)
        over.set()
        for one in threads:
            one.join()
        if errors:
            raise errors[0]
        assert provider.health().symbols == 2 + len(added)
        print(f"{len(names)} symbols added, {len(names) - len(added)} removed; {counts}")
    finally:
        over.set()
        provider.stop()
        sim.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500)
