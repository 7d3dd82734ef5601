"""Run a provider inside your own program: start it, add a symbol, look at its health, stop it.

    python control.py CONFIG [SYMBOL]

CONFIG is a configuration as `mdp run` takes it, for example config/binance-spot.yaml.
"""

from __future__ import annotations

import sys

from mdp import BookState, Provider, load_config


def main(path: str, extra: str | None) -> None:
    """Run until Ctrl-C."""
    config = load_config(path)
    with Provider(config) as provider:
        print(f"publishing {provider.segment}; books come as they become LIVE")
        if extra:
            symbol_id = provider.subscribe(config.venues[0].name, extra)
            print(f"{extra} is symbol {symbol_id} of the segment")
        try:
            # Returns at once when the provider has failed, with the reason.
            while not provider.wait(timeout_s=1.0):
                states = provider.states()
                live = sum(state == BookState.LIVE for state, _ in states.values())
                health = provider.health().engine
                print(
                    f"{live} of {len(states)} books LIVE, {health.events} events, {health.gaps} gaps, "
                    f"socket to ring p50 {health.p50_ns / 1000:.1f} us"
                )
        except KeyboardInterrupt:
            print("stopping")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
