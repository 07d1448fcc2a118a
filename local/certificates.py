"""A certificate authority for one start, and the one certificate it signs: for this machine."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from pathlib import Path

import certifi
import trustme

LIFE = dt.timedelta(days=30)


def issue(ca_file: Path) -> ssl.SSLContext:
    """Write a new authority's certificate, and return a server's context that it vouches for.

    The authority's key is never written and is gone with this call, so whoever trusts `ca_file`
    trusts this one server and nobody else.
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
