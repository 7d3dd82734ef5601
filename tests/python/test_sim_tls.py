"""Certificates: the good set is accepted under full verification, every bad one is refused."""

from __future__ import annotations

import asyncio
import os
import ssl

import aiohttp
import pytest
from mdp.sim import TLS_FLAVOURS, SimOptions, SimServer, create_tls, ensure_tls


async def _get_ping(server: SimServer, host: str) -> int:
    context = ssl.create_default_context(cafile=server.ca_file)
    url = f"https://{host}:{server.port}/api/v3/ping"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(url) as response,
    ):
        assert await response.text() == "{}"
        return response.status


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_good_certificate_is_verified(host):
    async def scenario():
        async with SimServer(SimOptions(rate=0, symbols=1)) as server:
            assert await _get_ping(server, host) == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("flavour", [name for name in TLS_FLAVOURS if name != "good"])
def test_bad_certificate_is_refused(flavour):
    async def scenario():
        async with SimServer(SimOptions(rate=0, symbols=1, tls_flavour=flavour)) as server:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await _get_ping(server, "127.0.0.1")
            # The interface itself is up; only verification stands in the way.
            connector = aiohttp.TCPConnector(ssl=False)
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get(f"{server.rest_url}/api/v3/ping") as response,
            ):
                assert response.status == 200

    asyncio.run(scenario())


def test_private_key_is_private(tmp_path):
    files = create_tls(tmp_path)
    if os.name == "posix":
        assert files.key_file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {
        "ca.pem",
        "server.key",
        "server.pem",
        *(f"{flavour}.pem" for flavour in TLS_FLAVOURS if flavour != "good"),
    }


def test_kept_directory_keeps_its_authority_until_it_is_bad(tmp_path):
    first = ensure_tls(tmp_path).ca_file.read_bytes()
    assert ensure_tls(tmp_path).ca_file.read_bytes() == first
    files = create_tls(tmp_path)
    expired = files.flavour_file("expired").read_bytes()
    files.cert_file.write_bytes(expired)
    assert ensure_tls(tmp_path).cert_file.read_bytes() != expired


def test_unknown_flavour_is_named():
    with pytest.raises(ValueError, match="rotten"):
        SimServer(SimOptions(tls_flavour="rotten"))


def test_temporary_directory_is_removed():
    async def scenario():
        async with SimServer(SimOptions(rate=0, symbols=1)) as server:
            path = os.path.dirname(server.ca_file)
            assert os.path.isdir(path)
        assert not os.path.exists(path)

    asyncio.run(scenario())


def test_plain_server_needs_no_certificate():
    async def scenario():
        async with SimServer(SimOptions(rate=0, symbols=1, tls=False)) as server:
            assert server.ca_file is None and server.rest_url.startswith("http://")
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{server.rest_url}/api/v3/ping") as response,
            ):
                assert response.status == 200

    asyncio.run(scenario())
