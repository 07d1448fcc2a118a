"""Texts that no log may contain: every secret and every prompt of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud

CANARY = "canary-7f3a9d"
SHAPES = {
    "API token": r"dk_[A-Za-z0-9_-]{20,}",
    "Replicate token": r"r8_[A-Za-z0-9]{20,}",
    "signing secret": r"whsec_[A-Za-z0-9+/]{20,}",
    "link token": r"[?&]t=[A-Za-z0-9_.-]{16,}",
    "signed URL": r"(?i)(X-Amz-(Signature|Credential|Security-Token)|[?&](Signature|Key-Pair-Id))=",
    "Authorization": r"(?i)(bearer|token) [a-z0-9_-]{8,}",
    "webhook signature": r"v1,[A-Za-z0-9+/]{20,}=",
    "private key": r"PRIVATE KEY",
    "inline file": r"data:[a-z/+.-]+;base64,",
}
SHORTEST = 12
"""Letters of a prompt below which it could occur in a log by chance."""


def logged(cloud: EmbeddedCloud) -> dict[str, str]:
    """Return the functions' logs as in CloudWatch, and the output of the local processes.

    The emulated provider's own log is excluded: it is not ours, and contains the requests.
    """
    logs = cloud.client("logs")
    groups = [
        group["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    ]
    found = {
        group: "\n".join(
            event["message"]
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        )
        for group in groups
    }
    for name in ("aws.log", "front.log", "wait.log"):
        path = cloud._state_dir / "logs" / name
        if path.exists():
            found[name] = path.read_text(errors="replace")
    return found


def secrets_in_play(cloud: EmbeddedCloud) -> dict[str, str]:
    """Return each secret of the run with its description."""
    found = {cloud.token: "API token", cloud.replicate_token: "Replicate token", CANARY: "canary"}
    store = cloud.client("secretsmanager")
    for secret in store.list_secrets()["SecretList"]:
        text = store.get_secret_value(SecretId=secret["ARN"]).get("SecretString", "")
        for part in re.findall(r"[A-Za-z0-9+/_=-]{16,}", text):
            found.setdefault(part.removeprefix("whsec_"), f"part of {secret['Name']}")
    secret_url = f"{cloud.base_url}/v1/webhooks/default/secret"
    callback = str(_read(secret_url, {"Authorization": f"Bearer {cloud.token}"})["key"])
    found[callback.removeprefix("whsec_")] = "callback secret"
    for made in _read(f"{cloud.replicate_url}/_emulator/predictions", {}):
        token = urlsplit(made["webhook"] or "").query.removeprefix("t=")
        if token:
            found[token] = "link token"
        prompt = made["input"].get("prompt")
        if isinstance(prompt, str) and len(prompt) >= SHORTEST:
            found[prompt] = "prompt"
    return found


def leaks(cloud: EmbeddedCloud) -> list[str]:
    """Return each secret found in a log: its description and its place."""
    texts, secrets = logged(cloud), secrets_in_play(cloud)
    hits = [
        f"{kind} in {place}"
        for place, text in texts.items()
        for secret, kind in secrets.items()
        if secret in text
    ]
    return hits + [
        f"{kind} in {place}: {text[max(0, found.start() - 80) : found.start()]}"
        for place, text in texts.items()
        for kind, shape in SHAPES.items()
        if (found := re.search(shape, text))
    ]


def _read(url: str, headers: dict[str, str]) -> Any:
    answer = httpx.get(url, headers=headers, trust_env=False, timeout=60)
    return answer.raise_for_status().json()
