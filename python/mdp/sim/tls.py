"""Throw-away certificates for the embedded exchange.

A venue is only ever reached over verified TLS, so the sim brings its own certificate authority: clients are
given ``ca.pem`` and verify as strictly as they would on the internet. Deliberately bad certificates exist
so that a test can prove that verification is on.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TLS_FLAVOURS = ("good", "expired", "wrong-host", "untrusted", "self-signed")
"""What `create_tls` can make; a client that trusts ``ca.pem`` must refuse every flavour but ``good``."""

_log = logging.getLogger("mdp.sim")

_VALID_DAYS = 30


@dataclass(frozen=True)
class TlsFiles:
    """Paths of one certificate set.

    Attributes
    ----------
    ca_file : Path
        What a client must trust, PEM.
    cert_file : Path
        Server certificate, PEM.
    key_file : Path
        Private key of every server certificate of the set, PEM, mode 0600.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path

    def server_context(self, flavour: str = "good") -> ssl.SSLContext:
        """Return a server-side TLS context (1.2 or newer) that presents the certificate of a flavour."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.flavour_file(flavour), self.key_file)
        return context

    def flavour_file(self, flavour: str) -> Path:
        """Return the path of the certificate of a flavour."""
        return self.cert_file if flavour == "good" else self.cert_file.with_name(f"{flavour}.pem")


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "mdp sim, throw-away"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _make_ca(now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("mdp sim authority")
    # Key identifiers and key usage are not decoration: Python 3.13 verifies with VERIFY_X509_STRICT.
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return cert, key


def _subject_alt_names(flavour: str) -> list[x509.GeneralName]:
    if flavour == "wrong-host":
        return [x509.DNSName("wrong.host.invalid")]
    return [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]


def _write(path: Path, data: bytes, mode: int) -> None:
    # O_EXCL on a temporary name and a rename: the key is never readable by others, not even for an instant,
    # and a client never reads half a file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    os.chmod(temporary, mode)
    os.replace(temporary, path)


def _make_server(
    flavour: str,
    key: ec.EllipticCurvePrivateKey,
    authority: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    now: dt.datetime,
) -> x509.Certificate:
    signer_cert, signer_key = _make_ca(now) if flavour == "untrusted" else authority
    issuer = _name("localhost") if flavour == "self-signed" else signer_cert.subject
    signing_key = key if flavour == "self-signed" else signer_key
    not_after = now - dt.timedelta(days=1) if flavour == "expired" else now + dt.timedelta(days=_VALID_DAYS)
    return (
        x509.CertificateBuilder()
        .subject_name(_name("localhost"))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_subject_alt_names(flavour)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
        .sign(signing_key, hashes.SHA256())
    )


def create_tls(directory: str | os.PathLike[str]) -> TlsFiles:
    """Write a fresh certificate authority and a server certificate of each flavour.

    Parameters
    ----------
    directory : path
        Created if absent; receives ``ca.pem``, ``server.key``, ``server.pem`` and one file per other flavour
        of `TLS_FLAVOURS`. ``expired``: the validity ended yesterday. ``wrong-host``: issued for another name.
        ``untrusted``: signed by an authority that is not the one in ``ca.pem``. ``self-signed``: signed by
        its own key.

    Returns
    -------
    TlsFiles
        Paths of the files.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.timezone.utc)
    authority = _make_ca(now)
    key = ec.generate_private_key(ec.SECP256R1())
    files = _files(folder)
    pem = serialization.Encoding.PEM
    _write(
        files.key_file,
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        0o600,
    )
    for flavour in TLS_FLAVOURS:
        cert = _make_server(flavour, key, authority, now)
        _write(files.flavour_file(flavour), cert.public_bytes(pem), 0o644)
    _write(files.ca_file, authority[0].public_bytes(pem), 0o644)
    return files


def _files(folder: Path) -> TlsFiles:
    return TlsFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")


def ensure_tls(directory: str | os.PathLike[str]) -> TlsFiles:
    """Return the set in `directory` if it is still good for a day, else write a new one.

    A sim that is restarted on the same directory keeps its authority, so clients that already loaded
    ``ca.pem`` can come back to it.
    """
    folder = Path(directory)
    files = _files(folder)
    try:
        soon = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1)
        ca_cert = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
        cert = x509.load_pem_x509_certificate(files.cert_file.read_bytes())
        cert.verify_directly_issued_by(ca_cert)
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        # The *_utc properties are newer than the oldest cryptography release allowed here.
        expiry = cert.not_valid_after_utc if hasattr(cert, "not_valid_after_utc") else soon
        if expiry > soon and "localhost" in names.get_values_for_type(x509.DNSName):
            for flavour in TLS_FLAVOURS:
                files.server_context(flavour)
            return files
    except (OSError, ValueError, InvalidSignature, x509.ExtensionNotFound, ssl.SSLError, TypeError):
        if files.ca_file.exists():
            _log.info("the certificates in %s are of no use any more; new ones are written", folder)
    return create_tls(folder)
