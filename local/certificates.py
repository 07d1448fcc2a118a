"""A certificate authority for one start, and the single certificate that it signs."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from pathlib import Path

import certifi
import trustme

LIFE = dt.timedelta(days=30)


def issue(ca_file: Path) -> ssl.SSLContext:
    """Write a new authority's certificate, and return the context of a server that it certifies.

    The authority's key is never stored and is lost after this call, so a client that trusts
    `ca_file` trusts only this server.
    """
    authority = trustme.CA(path_length=0, organization_name="Darkroom local CA")
    served = authority.issue_cert(
        "127.0.0.1", "localhost", not_after=dt.datetime.now(dt.UTC) + LIFE
    )
    ca_file.parent.mkdir(parents=True, exist_ok=True)
    ca_file.write_bytes(authority.cert_pem.bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.configure_cert(context)
    return context


def write_bundle(ca_file: Path, bundle_file: Path) -> None:
    """Write this authority's certificate and the public ones into one file.

    SSL_CERT_FILE replaces all roots that a program knows, so the file must contain those too: the
    ones of this shell's own SSL_CERT_FILE, or else those of certifi.
    """
    usual = Path(os.environ.get("SSL_CERT_FILE", ""))
    # A shell may have set it to the file of an earlier start, which would then grow with each.
    taken = usual if usual.is_file() and not _same(usual, bundle_file, ca_file) else None
    roots = (taken or Path(certifi.where())).read_bytes()
    bundle_file.write_bytes(ca_file.read_bytes().rstrip() + b"\n" + roots)


def _same(file: Path, *others: Path) -> bool:
    return any(other.exists() and file.samefile(other) for other in others)


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Return a client's context that trusts this authority besides the usual ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca_file)
    return context
