"""Configuration: what is allowed; every error names file, line, key, what was found and what may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from mdp.configuring.config import Config, load_config, parse_config
from mdp.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
VENUES = "venues:\n  - name: binance\n    symbols: [BTCUSDT]\n"


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "file.yaml")
    return str(caught.value)


@pytest.mark.parametrize("name", ["binance-spot.yaml", "demo.yaml"])
def test_shipped_configurations_are_valid(name: str) -> None:
    config = load_config(ROOT / "config" / name)
    assert config.venues[0].name == "binance"
    assert len(config.venues[0].symbols) >= 5


def test_shortest_configuration_takes_every_default() -> None:
    config = parse_config(VENUES)
    assert config.segment.name == "mdp"
    assert config.segment.ring == 64 << 20
    assert config.engine.topology == config.engine.idle == "auto"
    venue = config.venues[0]
    assert venue.channels == ["depth", "trade", "quote"]
    assert venue.ws_url == venue.rest_url == venue.tls.ca_file == ""
    assert not venue.tls.insecure_skip_verify


def test_configuration_cannot_be_changed() -> None:
    config = parse_config(VENUES)
    with pytest.raises(ValueError, match="frozen"):
        config.segment.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # An unknown key, at every depth, with a hint where one is close.
        (
            VENUES + "segmant: {}\n",
            "file.yaml:4: segmant: unknown key; did you mean segment? Allowed: segment, ",
        ),
        (
            VENUES + "xyzzy: 1\n",
            "file.yaml:4: xyzzy: unknown key. Allowed: segment, engine, log, metrics, venues",
        ),
        (
            VENUES + "segment:\n  rign: 1\n",
            "file.yaml:5: segment.rign: unknown key; did you mean ring? Allowed: ",
        ),
        (
            VENUES + "    tls:\n      ca_fil: x\n",
            "file.yaml:5: venues[0].tls.ca_fil: unknown key; did you mean ca_file? "
            "Allowed: ca_file, server_name, insecure_skip_verify",
        ),
        (
            VENUES + "engine:\n  cores: {publisher_1: 1}\n",
            "file.yaml:5: engine.cores.publisher_1: unknown key; did you",
        ),
        # Missing.
        ("segment: {}\n", "venues: missing; it must be given"),
        ("venues:\n  - name: binance\n", "file.yaml:2: venues[0].symbols: missing; it must be given"),
        # A wrong type or value: what was found, and what is allowed.
        (
            VENUES + "segment:\n  levels: many\n",
            "file.yaml:5: segment.levels: input should be a valid integer",
        ),
        (VENUES + "segment:\n  levels: many\n", "(found 'many')"),
        (VENUES + "segment:\n  levels: 129\n", "less than or equal to 128 (found 129)"),
        (VENUES + "segment:\n  levels: 0\n", "greater than or equal to 1 (found 0)"),
        (
            VENUES + "segment:\n  ring: 3MiB\n",
            "file.yaml:5: segment.ring: must be a power of two of at least 64KiB",
        ),
        (VENUES + "segment:\n  ring: 32KiB\n", "must be a power of two of at least 64KiB"),
        (VENUES + "segment:\n  ring: big\n", "file.yaml:5: segment.ring: "),
        (VENUES + "segment:\n  name: ../etc\n", "file.yaml:5: segment.name: "),
        (VENUES + "segment:\n  name: .hidden\n", "(found '.hidden')"),
        (VENUES + "segment:\n  mode: 0640\n", "file.yaml:5: segment.mode: "),
        (VENUES + "segment:\n  mode: '0660'\n", "file.yaml:5: segment.mode: "),
        (VENUES + "segment:\n  mode: '0660'\n", "must let nobody but the owner write"),
        (VENUES + "segment: 7\n", "file.yaml:4: segment: "),
        (VENUES + "engine:\n  topology: fast\n", "'auto', 'pipelined' or 'fused' (found 'fast')"),
        (VENUES + "engine:\n  cores: {publisher: -2}\n", "file.yaml:5: engine.cores.publisher: "),
        (VENUES + "log:\n  level: loud\n", "'debug', 'info', 'warning' or 'error' (found 'loud')"),
        (VENUES + "    channels: [depth, news]\n", "file.yaml:4: venues[0].channels[1]: "),
        (VENUES + "    backoff: {jitter: 2}\n", "file.yaml:4: venues[0].backoff.jitter: "),
        (VENUES + "    snapshot_depth: 5001\n", "less than or equal to 5000 (found 5001)"),
        (VENUES + "    snapshot_depth: 1\n", "greater than or equal to 2 (found 1)"),
        (
            "venues:\n  - name: binance-usdm\n    symbols: [BTCUSDT]\n    snapshot_depth: 1001\n",
            "file.yaml:4: venues[0].snapshot_depth: must with binance-usdm be less than or equal to 1000 "
            "(found 1001)",
        ),
        ("venues: []\n", "file.yaml:1: venues: "),
        ("venues: binance\n", "file.yaml:1: venues: input should be a valid list (found 'binance')"),
        ("venues:\n  - binance\n", "file.yaml:2: venues[0]: "),
        ("venues:\n  - name: binance\n    symbols: []\n", "file.yaml:3: venues[0].symbols: "),
        ("venues:\n  - name: binance\n    symbols: [1]\n", "file.yaml:3: venues[0].symbols[0]: "),
        # What makes sense alone but not together.
        (
            VENUES.replace("[BTCUSDT]", f"\n      - BTCUSDT\n      - {'A' * 65}"),
            "file.yaml:5: venues[0].symbols[1]: has 65 bytes; the segment's directory holds 64 (found 'AAA",
        ),
        (  # bytes, not characters
            VENUES.replace("BTCUSDT", "\u5e01" * 22),
            "file.yaml:3: venues[0].symbols[0]: has 66 bytes; the segment's directory holds 64",
        ),
        (
            "venues:\n  - name: binance\n    symbols: [A, B, A]\n",
            "file.yaml:3: venues[0].symbols: named twice: A",
        ),
        (
            "venues:\n  - name: mtgox\n    symbols: [A]\n",
            "file.yaml:2: venues[0].name: unknown venue; allowed: binance",
        ),
        (VENUES + "  - name: binance\n    symbols: [B]\n", "a venue is named twice"),
        (
            VENUES.replace("BTCUSDT", "A, B") + "segment: {instruments: 1}\n",
            "segment.instruments is 1, but 2 symbols",
        ),
        # The file itself.
        (VENUES + "segment: {}\nsegment: {}\n", "file.yaml:5: segment: given twice; keep one"),
        (VENUES + "    symbols: [B]\n", "file.yaml:4: venues[0].symbols: given twice; keep one"),
        ("venues: [\n", "file.yaml:2: not YAML: "),
        ("venues: !!python/object:os.system {}\n", "file.yaml:1: not YAML: "),
        ("", "file.yaml: wanted a mapping with the key venues, found NoneType"),
        ("- a\n", "file.yaml: wanted a mapping with the key venues, found list"),
        ("\x00", "file.yaml: not YAML: "),
    ],
)
def test_error_names_file_line_key_found_and_allowed(text: str, message: str) -> None:
    assert message in error_of(text)


def test_every_error_of_a_file_is_told_at_once() -> None:
    text = VENUES + "segment:\n  levels: 0\n  rign: 1\nlog:\n  level: loud\n"
    lines = error_of(text).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["file.yaml:5", "file.yaml:6", "file.yaml:8"]


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    with pytest.raises(ConfigError, match=f"^{missing}: cannot be read: No such file or directory$"):
        load_config(missing)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"venues: \xe9\n")
    with pytest.raises(ConfigError, match=f"^{latin}: is not UTF-8 text \\(byte 8\\)$"):
        load_config(latin)


def test_where_points_at_the_nearest_line() -> None:
    config = parse_config(VENUES, "f.yaml")
    assert config.where("venues", 0, "symbols", 0) == "f.yaml:3: venues[0].symbols[0]: "
    assert config.where("venues", 0, "ws_url") == "f.yaml:2: venues[0].ws_url: "
    assert (
        Config.model_validate({"venues": [{"name": "binance", "symbols": ["A"]}]}).where("venues")
        == "venues: "
    )


@pytest.mark.parametrize(("text", "size"), [("64KiB", 64 << 10), ("1GiB", 1 << 30), (str(1 << 20), 1 << 20)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert parse_config(VENUES + f"segment: {{ring: {text}}}\n").segment.ring == size


def test_proxy_and_socket_options_are_read() -> None:
    venue = parse_config(
        VENUES
        + "    proxy: http://user:secret@proxy:3128\n"
        + "    socket: {receive_buffer: 4MiB, busy_poll_us: 50, tcp_nodelay: false}\n"
    ).venues[0]
    assert venue.proxy.get_secret_value() == "http://user:secret@proxy:3128"
    assert venue.socket.receive_buffer == 4 << 20
    assert venue.socket.busy_poll_us == 50
    assert not venue.socket.tcp_nodelay
    default = parse_config(VENUES).venues[0]
    assert default.proxy.get_secret_value() == ""
    assert default.socket.tcp_nodelay
    assert default.socket.receive_buffer == default.socket.busy_poll_us == 0


def test_audits_against_rest_are_asked_for_by_the_second() -> None:
    assert parse_config(VENUES).venues[0].rest_audit_s == 0
    assert parse_config(VENUES + "    rest_audit_s: 30\n").venues[0].rest_audit_s == 30
    for wrong in ("-1", "0.5", "86401"):
        with pytest.raises(ConfigError, match=r"venues\[0\]\.rest_audit_s: "):
            parse_config(VENUES + f"    rest_audit_s: {wrong}\n")


def test_proxy_credentials_are_shown_nowhere() -> None:
    proxy = "    proxy: http://user:secret@proxy:3128\n"
    assert "secret" not in repr(parse_config(VENUES + proxy))
    for text in (
        VENUES + proxy + "    unknown: 1\n",
        VENUES + proxy.replace("http://", "[http://").replace("3128", "3128]"),
        "venues: {name: binance, symbols: [BTCUSDT], proxy: 'http://user:secret@proxy:3128'}\n",
    ):
        message = error_of(text)
        assert "secret" not in message
        assert "user" not in message


@pytest.mark.parametrize("key", ["ws_url", "rest_url", "proxy"])
@pytest.mark.parametrize(
    "url",
    [
        "wss://jane:secret@host",
        "https://jane:secret@host",
        "http://jane:secret@host",
        "http://jane:secret@host:1/path",
        "ftp://jane:secret@host:1",
        "jane:secret@host:1",
        "http://jane:sec/secret@host:1",
        "ftp://jane:sec secret@host:1",
        "http://jane:%secret@host:1",
    ],
)
def test_url_that_cannot_be_used_is_told_by_line_and_key_without_user_info(key: str, url: str) -> None:
    message = error_of(VENUES + f"    {key}: '{url}'\n")
    assert message.startswith(f"file.yaml:4: venues[0].{key}: ")
    assert "***@host" in message
    assert "secret" not in message
    assert "jane" not in message


@pytest.mark.parametrize(
    ("key", "url", "words"),
    [
        ("ws_url", "https://host", "scheme must be wss (or ws for a loopback host)"),
        ("rest_url", "wss://host", "scheme must be https (or http for a loopback host)"),
        ("ws_url", r"wss://\ud800", "the host is missing"),
        ("ws_url", "wss://host/stream", "found a path, which is not part of the address"),
        ("rest_url", "https://host/api", "found a path, which is not part of the address"),
        ("rest_url", "https://", "the host is missing"),
        ("proxy", "http://proxy", "the port is missing"),
        ("proxy", "socks5://proxy:1080", "must be http://[user:password@]host:port"),
    ],
)
def test_url_that_cannot_be_used_is_explained(key: str, url: str, words: str) -> None:
    message = error_of(VENUES + f'    {key}: "{url}"\n')
    assert words in message
    assert url.replace(r"\ud800", "?") in message


@pytest.mark.parametrize("value", ["-1", "2GiB", "lots"])
def test_receive_buffer_out_of_range_is_refused(value: str) -> None:
    where = "file.yaml:4: venues[0].socket.receive_buffer: "
    assert error_of(VENUES + f"    socket: {{receive_buffer: {value}}}\n").startswith(where)


SHALLOW = """\
segment: {levels: 20}
engine:
  book_depth: 30
venues:
  - name: binance
    symbols: [BTCUSDT]
    snapshot_depth: 39
  - name: binance-usdm
    symbols: [BTCUSDT]
    channels: [trade]
    snapshot_depth: 5
"""


def test_depths_with_which_no_book_stays_live_are_refused_with_their_lines() -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(SHALLOW, "a.yaml")
    assert str(error.value).splitlines() == [
        "a.yaml:7: venues[0].snapshot_depth: must be at least 40, twice segment.levels (20) (found 39)",
        "a.yaml:3: engine.book_depth: must be 0 or at least 40, twice segment.levels (20) (found 30)",
    ]


def test_a_venue_without_books_may_have_any_depth() -> None:
    assert parse_config(SHALLOW.replace("39", "40").replace("30", "0")).venues[1].snapshot_depth == 5
