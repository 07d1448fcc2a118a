"""URLs of outputs on the CDN: CloudFront's signed URLs with a canned policy."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.signers import CloudFrontSigner

from darkroom.aws.s3 import URL_LIFE_S
from darkroom.domain.errors import UnavailableError
from darkroom.domain.inputs import is_output, path_below
from darkroom.domain.link import rounded_expiry
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.ports import Clock, Signer


@immutable
class CdnSigner:
    """Signer with the CDN's key. Inputs are only for the provider, so S3 presigns them."""

    domain: str
    key: Callable[[], tuple[str, str]]
    """CloudFront's id of the key, and its private half in PEM; called for each URL."""
    inputs: Signer
    clock: Clock

    def output_url(self, key: str) -> str:
        """Return a URL valid for an hour and up to five minutes more. Raises UnavailableError if
        the key is unset."""
        key_id, private_key = self.key()
        signer = CloudFrontSigner(key_id, partial(_sign, private_key))
        expires = rounded_expiry(self.clock(), URL_LIFE_S)
        url = signer.generate_presigned_url(
            f"https://{self.domain}/{quote(key)}", datetime.fromtimestamp(expires, UTC)
        )
        # Without it, CloudFront expects a signature over SHA-1.
        return f"{url}&Hash-Algorithm=SHA256"

    def upload_url(self, key: str) -> str:
        return self.output_url(key) if is_output(key) else self.inputs.upload_url(key)

    def output_key(self, url: str) -> str | None:
        """Also accepts a URL presigned by S3, because the CDN may be newer than the URL."""
        key = path_below(url, f"https://{self.domain}/")
        if key is None:
            return self.inputs.output_key(url)
        return key if is_output(key) else None


def _sign(private_key: str, policy: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    # Deterministic, so that every function signs the same URL.
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    signature: bytes = _loaded(private_key).sign(policy, algorithm)
    return signature


@lru_cache(maxsize=2)
def _loaded(private_key: str) -> Any:
    # Imported here, since most invocations show no file and need no OpenSSL.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise UnavailableError("The CDN's key is not an ECDSA key on P-256.")
    return key
