"""The CDN's key pair, created before the first deployment and kept in Secrets Manager."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from darkroom.aws.cdn import CdnSigner
from darkroom.aws.s3 import S3Signer
from darkroom.runtime.settings import CDN_KEY_SECRET

from ops.deployment import SetupError

if TYPE_CHECKING:
    from ops.deployment import Deployment

PLACES = (("CdnPublicKeyInUse", "CdnKeyId"), ("OtherCdnPublicKeyInUse", "OtherCdnKeyId"))
"""Outputs of the CDN's stack: each public key that is deployed, and CloudFront's id of it."""


def secret_name(stage: str) -> str:
    """Return the name of the stage's secret, `{"key_id", "private_key"}`."""
    return CDN_KEY_SECRET.format(stage=stage)


def ensure(deployment: Deployment, stage: str) -> tuple[str, bool]:
    """Return the public key in PEM, and whether the pair was created by this call. Needs no stacks.

    The private key never leaves Secrets Manager, where it remains when the stacks are deleted.
    Raises SetupError if the secret contains something else.
    """
    name = secret_name(stage)
    stored = _kept(deployment, name)
    if stored is not None:
        return public_half(_fields(stored, name)["private_key"]), False
    private_key = new_private_key()
    value = json.dumps({"private_key": private_key})
    client = deployment.client("secretsmanager")
    try:
        client.create_secret(
            Name=name,
            SecretString=value,
            Description="Darkroom: what signs outputs' URLs, {key_id, private_key}",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceExistsException":
            raise
        client.put_secret_value(SecretId=name, SecretString=value)  # exists without a value
    return public_half(private_key), True


def _kept(deployment: Deployment, name: str) -> str | None:
    """Return the secret's text, like `Deployment.secret`. A deleted secret is restored first,
    because its name stays reserved during the recovery window."""
    try:
        return deployment.secret(name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidRequestException":
            raise
    deployment.client("secretsmanager").restore_secret(SecretId=name)
    return deployment.secret(name)


def name_it(deployment: Deployment, stage: str) -> tuple[str | None, bool]:
    """Store CloudFront's id of the key next to the private key. Returns the id and whether it is
    new.

    The id is None if the CDN was deployed with other keys.
    """
    public_key, _ = ensure(deployment, stage)
    key_id = id_of(deployment.outputs, public_key)
    name = secret_name(stage)
    stored = read(deployment, stage)
    if key_id is None or stored.get("key_id") == key_id:
        return key_id, False
    deployment.client("secretsmanager").put_secret_value(
        SecretId=name, SecretString=json.dumps({**stored, "key_id": key_id})
    )
    return key_id, True


def id_of(outputs: dict[str, str], public_key: str) -> str | None:
    """Return CloudFront's id of the key; None if the CDN was not deployed with it."""
    ids = {one_line(outputs[key]): outputs[id_] for key, id_ in PLACES if key in outputs}
    return ids.get(one_line(public_key))


def parameter(outputs: dict[str, str], public_key: str) -> str:
    """Return the name of the stack parameter that has the key, or is to get it."""
    held = one_line(outputs.get("OtherCdnPublicKeyInUse", ""))
    return "OtherCdnPublicKey" if held == one_line(public_key) else "CdnPublicKey"


def read(deployment: Deployment, stage: str) -> dict[str, Any]:
    """Return the fields of the secret. Raises SetupError if it contains no private key."""
    return _fields(deployment.secret(secret_name(stage)), secret_name(stage))


def signer(deployment: Deployment, stage: str, domain: str) -> CdnSigner | None:
    """Return a signer like that of the functions; None while the key has no id."""
    stored = read(deployment, stage)
    key_id = stored.get("key_id")
    if not key_id:
        return None
    inputs = S3Signer(deployment.client("s3"), "", "")
    key = key_id, stored["private_key"]
    return CdnSigner(domain, lambda: key, inputs, lambda: time.time_ns() // 1_000_000)


def new_private_key() -> str:
    """Create a private key in PEM. The secret is its only copy."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def public_half(private_key: str) -> str:
    """Return the public key in PEM. Raises SetupError if `private_key` is not a private key."""
    try:
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError):
        raise SetupError("The CDN's private key is not in PEM.") from None
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def _fields(text: str | None, name: str) -> dict[str, Any]:
    try:
        fields = json.loads(text or "")
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("private_key"), str):
        raise SetupError(f"The secret {name} holds no private key: look at it, or delete it.")
    return fields


def one_line(pem: str) -> str:
    """Remove white space for comparison, since CloudFormation and command lines drop line
    breaks."""
    return "".join(pem.split())
