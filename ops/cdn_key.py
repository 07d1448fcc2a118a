"""The CDN's key pair: made before the first deployment, kept in Secrets Manager by a fixed name."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from darkroom.adapters.cdn import CdnSigner
from darkroom.adapters.s3 import S3Signer
from darkroom.runtime.settings import CDN_KEY_SECRET

from ops.deployment import SetupError

if TYPE_CHECKING:
    from ops.deployment import Deployment

PLACES = (("CdnPublicKeyInUse", "CdnKeyId"), ("OtherCdnPublicKeyInUse", "OtherCdnKeyId"))
"""Outputs of the CDN's stack: a public key that it was deployed with, and CloudFront's id of it."""


def secret_name(stage: str) -> str:
    """The secret `{"key_id", "private_key"}` of the stage."""
    return CDN_KEY_SECRET.format(stage=stage)


def ensure(deployment: Deployment, stage: str) -> tuple[str, bool]:
    """The public half in PEM, and whether the pair was made now. Needs no stacks.

    The private half never leaves Secrets Manager, where it stays when the stacks go. Raises
    SetupError where the secret holds something else.
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
        client.put_secret_value(SecretId=name, SecretString=value)  # there, without any value
    return public_half(private_key), True


def _kept(deployment: Deployment, name: str) -> str | None:
    """The secret's text, as `Deployment.secret`. One that was deleted is brought back: its name is
    taken as long as it could be."""
    try:
        return deployment.secret(name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidRequestException":
            raise
    deployment.client("secretsmanager").restore_secret(SecretId=name)
    return deployment.secret(name)


def name_it(deployment: Deployment, stage: str) -> tuple[str | None, bool]:
    """Write CloudFront's id of the key beside its private half: the id, and whether it is new.

    No id where the CDN was deployed with other keys than this one.
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
    """CloudFront's id of the key; None where the CDN was not deployed with it."""
    ids = {one_line(outputs[key]): outputs[id_] for key, id_ in PLACES if key in outputs}
    return ids.get(one_line(public_key))


def parameter(outputs: dict[str, str], public_key: str) -> str:
    """The parameter of the CDN's stack that holds the key, or is to hold it."""
    held = one_line(outputs.get("OtherCdnPublicKeyInUse", ""))
    return "OtherCdnPublicKey" if held == one_line(public_key) else "CdnPublicKey"


def read(deployment: Deployment, stage: str) -> dict[str, Any]:
    """What the secret holds. Raises SetupError where that is no private key."""
    return _fields(deployment.secret(secret_name(stage)), secret_name(stage))


def signer(deployment: Deployment, stage: str, domain: str) -> CdnSigner | None:
    """Signs as the functions do; None while the key has no id."""
    stored = read(deployment, stage)
    key_id = stored.get("key_id")
    if not key_id:
        return None
    inputs = S3Signer(deployment.client("s3"), "", "")
    key = key_id, stored["private_key"]
    return CdnSigner(domain, lambda: key, inputs, lambda: time.time_ns() // 1_000_000)


def new_private_key() -> str:
    """In PEM. It is kept in the secret and nowhere else."""
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
    """In PEM. Raises SetupError for what is no private key."""
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
    """To compare by: CloudFormation and command lines drop line breaks."""
    return "".join(pem.split())
