"""CdnSigner, checked against OpenSSL and CloudFront's rules for a canned policy."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from darkroom.aws.cdn import CdnSigner
from darkroom.domain.errors import UnavailableError

from tests.support.fakes import FakeClock, FakeSigner

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

KEY = "acme/2027/01/0123456789abcdefghijklmnop/0.webp"
NOON = 1_800_000_000  # A multiple of 300.
PRIVATE = ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKeyTypes) -> str:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain).decode()


@dataclass
class Signed:
    """A signer at a given time that counts its fetches of the key."""

    now: int = NOON
    private_key: str = field(default_factory=lambda: pem(PRIVATE))
    asked: int = 0

    def url(self, key: str = KEY) -> str:
        clock = FakeClock(self.now * 1000)
        return CdnSigner("d111.cloudfront.net", self._key, FakeSigner(), clock).output_url(key)

    def _key(self) -> tuple[str, str]:
        self.asked += 1
        return "K2EXAMPLE", self.private_key


def admitted(url: str, at: int) -> bool:
    """Check as CloudFront does: build the policy from the request, then check signature and time.

    Follows "Create a signed URL using a canned policy" of its developer guide.
    """
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    resource = f"{parts.scheme}://{parts.netloc}{parts.path}"
    condition = {"DateLessThan": {"AWS:EpochTime": int(query["Expires"])}}
    policy = json.dumps(
        {"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":")
    )
    encoded = query["Signature"].replace("-", "+").replace("_", "=").replace("~", "/")
    signature = base64.b64decode(encoded, validate=True)
    assert query["Hash-Algorithm"] == "SHA256"
    try:
        PRIVATE.public_key().verify(signature, policy.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return at < int(query["Expires"])


def test_a_signed_url_is_admitted_for_an_hour_and_a_little_more() -> None:
    url = Signed().url()
    assert url.startswith(f"https://d111.cloudfront.net/{KEY}?Expires=")
    assert "&Key-Pair-Id=K2EXAMPLE&" in url
    assert admitted(url, NOON)
    assert admitted(url, NOON + 3599)
    assert not admitted(url, NOON + 3600 + 300)


@pytest.mark.parametrize("second", [0, 1, 150, 299])
def test_a_url_lives_an_hour_whenever_it_is_made(second: int) -> None:
    url = Signed(NOON + second).url()
    assert admitted(url, NOON + second + 3599)


@pytest.mark.parametrize(
    ("old", "new"),
    [("/0.webp", "/1.webp"), ("acme/", "other/"), ("Expires=18", "Expires=19"), ("d111", "d222")],
)
def test_a_tampered_url_is_not(old: str, new: str) -> None:
    assert not admitted(Signed().url().replace(old, new, 1), NOON)


def test_reads_of_the_same_minutes_show_the_same_url() -> None:
    urls = [Signed(NOON + second).url() for second in (1, 2, 150, 300)]
    assert len(set(urls)) == 1
    assert Signed(NOON + 301).url() != urls[0]


def test_a_url_needs_no_escaping() -> None:
    for number in range(50):
        url = Signed().url(f"acme/2027/01/x/{number}.png")
        assert re.fullmatch(r"https://[A-Za-z0-9./]+\?[A-Za-z0-9=&~_-]+", url)


def test_what_a_key_may_not_hold_in_a_url_is_escaped() -> None:
    url = Signed().url("a b/ü?#.png")
    assert urlsplit(url).path == "/a%20b/%C3%BC%3F%23.png"
    assert admitted(url, NOON)


def test_the_key_is_asked_for_only_where_an_output_is_shown() -> None:
    signed = Signed()
    signer = CdnSigner("d111.cloudfront.net", signed._key, FakeSigner(), FakeClock())
    assert signer.upload_url("k") == FakeSigner().upload_url("k")
    assert signed.asked == 0


def test_f18_an_output_that_is_an_input_is_shown_as_an_output() -> None:
    signed = Signed()
    clock = FakeClock(NOON * 1000)
    signer = CdnSigner("d111.cloudfront.net", signed._key, FakeSigner(), clock)
    assert signer.upload_url(KEY) == signer.output_url(KEY) == signed.url()


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (f"https://d111.cloudfront.net/{KEY}?Expires=1&Signature=x&Key-Pair-Id=K", KEY),
        (f"HTTPS://D111.CloudFront.net:443/{KEY}", KEY),
        (f"https://d111.cloudfront.net/{KEY}".replace("/acme/", "/%61cme/"), KEY),
        (f"https://outputs.test/{KEY}?signed", KEY),
        (f"https://d222.cloudfront.net/{KEY}", None),
        (f"http://d111.cloudfront.net/{KEY}", None),
        ("https://d111.cloudfront.net/acme/inputs/x/0.png", None),
    ],
)
def test_f18_an_output_is_known_on_the_cdn_and_in_its_bucket(url: str, key: str | None) -> None:
    signer = CdnSigner("d111.cloudfront.net", Signed()._key, FakeSigner(), FakeClock())
    assert signer.output_key(url) == key


NOT_OURS = {
    "nothing": "CANARY",
    "half": pem(PRIVATE)[:90],
    "rsa": pem(rsa.generate_private_key(65537, 2048)),
    "another curve": pem(ec.generate_private_key(ec.SECP384R1())),
}


@pytest.mark.parametrize("kind", NOT_OURS)
def test_another_key_than_the_cdns_is_unavailable(kind: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        Signed(private_key=NOT_OURS[kind]).url()
    assert caught.value.__context__ is None
    assert "CANARY" not in str(caught.value)


def test_a_cold_start_loads_no_openssl_for_it() -> None:
    """The key is loaded only for the first output that is shown."""
    environment = {
        "OUTPUTS_BUCKET": "outputs",
        "UPLOADS_BUCKET": "uploads",
        "CDN_DOMAIN": "d111.cloudfront.net",
        "CDN_KEY_SECRET": "key",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    code = (
        "import sys; from darkroom.runtime import adapters, parts, settings;"
        "signer = parts.signer(settings.Showing.from_env(), adapters.Adapters());"
        "print(type(signer).__name__, *sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    kind, *loaded = ran.stdout.split()
    assert kind == "CdnSigner"
    assert not {"cryptography", "darkroom.aws.secrets"} & set(loaded)
