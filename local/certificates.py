"""A certificate authority for one start, and the one certificate it signs: for this machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = dt.timedelta(days=30)
_SKEW = dt.timedelta(hours=1)


def issue(ca_file: Path, server_file: Path) -> ssl.SSLContext:
    """Write a new authority's certificate, and return a server's context that it vouches for.

    The authority's key is never written and is gone with this call, so whoever trusts `ca_file`
    trusts this one server and nobody else. The server's key is in `server_file`, for its owner
    alone, only while it is loaded.
    """
    now = dt.datetime.now(dt.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("Darkroom local CA")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    authority = (
        _unsigned(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    here = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    )
    serving = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    server = (
        _unsigned(_name("127.0.0.1"), ca_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(here, critical=False)
        .add_extension(serving, critical=False)
        .add_extension(signed_by, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file.parent.mkdir(parents=True, exist_ok=True)
    ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return _context(server, key, server_file)


def write_bundle(ca_file: Path, bundle_file: Path) -> None:
    """Write this authority's certificate and the public ones into one file.

    SSL_CERT_FILE takes the place of all roots that a program knows, so it has to hold them too:
    those of this shell's own SSL_CERT_FILE, else the ones that httpx and requests come with.
    """
    usual = Path(os.environ.get("SSL_CERT_FILE", ""))
    # A file of an earlier start, from a shell that has it set already, would grow with each.
    taken = usual if usual.is_file() and not _same(usual, bundle_file, ca_file) else None
    roots = (taken or Path(certifi.where())).read_bytes()
    bundle_file.write_bytes(ca_file.read_bytes().rstrip() + b"\n" + roots)


def _same(file: Path, *others: Path) -> bool:
    return any(other.exists() and file.samefile(other) for other in others)


def trusting(ca_file: Path) -> ssl.SSLContext:
    """A client's context that trusts this authority besides the usual ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context


def _context(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, file: Path
) -> ssl.SSLContext:
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(pem)
    try:
        context.load_cert_chain(file)
    finally:
        file.unlink()
    return context


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SKEW,
        not_valid_after=now + LIFE,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
