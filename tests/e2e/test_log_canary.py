"""The last test of a run: of all that the functions logged since it began, nothing is secret."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.test_callbacks import create, receiving, state, until
from tests.e2e.test_creates import submit

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from local.cloud import EmbeddedCloud

CANARY = "canary-7f3a9d"
SHAPES = {
    "API token": r"dk_[A-Za-z0-9_-]{20,}",
    "Replicate token": r"r8_[A-Za-z0-9]{20,}",
    "signing secret": r"whsec_[A-Za-z0-9+/]{20,}",
    "link token": r"[?&]t=[A-Za-z0-9_-]{16,}",
    "signed URL": r"(?i)(X-Amz-(Signature|Credential|Security-Token)|[?&](Signature|Key-Pair-Id))=",
    "Authorization": r"(?i)(bearer|token) [a-z0-9_-]{8,}",
    "webhook signature": r"v1,[A-Za-z0-9+/]{20,}=",
    "private key": r"PRIVATE KEY",
    "inline file": r"data:[a-z/+.-]+;base64,",
}
SHORTEST = 12
"""Letters of a prompt below which it could be in a log by chance."""


@pytest.fixture
def exercised(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    anyone: httpx.Client,
    set_faults: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
) -> None:
    """Every way by which a secret comes in, refused ones and broken ones among them."""
    set_faults(create_500=1, output_404=1)
    broken = submit(api, f"{CANARY} broken")["id"]
    set_faults()
    with receiving() as receiver:
        called = create(api, f"{receiver.url}?secret={CANARY}", "completed")
        until(lambda: state(api, called) == "delivered")
    image = f"data:text/plain;base64,{CANARY}"
    for body in (
        {"version": "black-forest-labs/flux-schnell", "input": {"prompt": [CANARY]}},
        {"version": CANARY, "input": {"image": image}},
        {CANARY: 1},
        [CANARY],
    ):
        assert api.post("/v1/predictions", json=body).status_code in {400, 422}
    api.post("/v1/predictions", content=CANARY, headers={"content-type": "application/json"})
    for headers in (
        {"authorization": f"Bearer {CANARY}"},
        {"authorization": f"Bearer dk_{CANARY}", "cookie": CANARY, "x-api-key": CANARY},
    ):
        refused = anyone.get(f"/v1/predictions?token={CANARY}", headers=headers)
        assert refused.status_code == 401
    api.get(f"/v1/predictions/{CANARY}", params={"cursor": CANARY})
    api.get("/v1/predictions", params={"cursor": CANARY})
    api.post("/v1/files", files={"content": (CANARY, CANARY.encode())})
    anyone.post(
        f"/hooks/replicate/{called}?t={CANARY}",
        content=json.dumps({"id": CANARY, "logs": CANARY}),
        headers={
            "webhook-id": CANARY,
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": "v1," + "A" * 43 + "=",
        },
    )
    finished(broken, 60)


def logged(cloud: EmbeddedCloud) -> dict[str, str]:
    """What CloudWatch would hold of each function, and what the local processes printed.

    The emulated provider's own log is left out: it is not ours, and holds what it was sent.
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
    for name in ("aws.log", "front.log"):
        path = cloud._state_dir / "logs" / name
        if path.exists():
            found[name] = path.read_text(errors="replace")
    return found


def secrets_in_play(
    cloud: EmbeddedCloud, api: httpx.Client, upstream: list[dict[str, Any]]
) -> dict[str, str]:
    """Each secret of the run, and what it is."""
    found = {cloud.token: "API token", cloud.replicate_token: "Replicate token", CANARY: "canary"}
    store = cloud.client("secretsmanager")
    for secret in store.list_secrets()["SecretList"]:
        text = store.get_secret_value(SecretId=secret["ARN"]).get("SecretString", "")
        for part in re.findall(r"[A-Za-z0-9+/_=-]{16,}", text):
            found.setdefault(part.removeprefix("whsec_"), f"part of {secret['Name']}")
    callback = str(api.get("/v1/webhooks/default/secret").json()["key"])
    found[callback.removeprefix("whsec_")] = "callback secret"
    for made in upstream:
        token = urlsplit(made["webhook"] or "").query.removeprefix("t=")
        if token:
            found[token] = "link token"
        prompt = made["input"].get("prompt")
        if isinstance(prompt, str) and len(prompt) >= SHORTEST:
            found[prompt] = "prompt"
    return found


@pytest.mark.usefixtures("exercised")
def test_a68_no_secret_and_no_prompt_is_in_any_log(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    upstream: Callable[[], list[dict[str, Any]]],
) -> None:
    secrets = secrets_in_play(cloud, api, upstream())
    assert {"API token", "Replicate token", "callback secret", "link token", "prompt"} <= set(
        secrets.values()
    )
    assert sum(kind.startswith("part of ") for kind in secrets.values()) >= 3
    texts = logged(cloud)
    for function in ("Submit", "Webhook", "Persist", "Deliver", "Relay", "Read"):
        group = f"/{function}Logs"
        assert any(group in place and text for place, text in texts.items()), texts.keys()
    said = "".join(texts.values())
    assert '"refused"' in said
    assert "webhook refused" in said
    hits = [
        f"{kind} in {place}"
        for place, text in texts.items()
        for secret, kind in secrets.items()
        if secret in text
    ]
    hits += [
        f"{kind} in {place}: {text[max(0, found.start() - 80) : found.start()]}"
        for place, text in texts.items()
        for kind, shape in SHAPES.items()
        if (found := re.search(shape, text))
    ]
    assert hits == []


@pytest.mark.parametrize(
    "line",
    [
        "dk_0123456789abcdefghijkl",
        "r8_0123456789abcdefghijkl",
        "whsec_0123456789abcdefghijkl",
        "POST /hooks/replicate/x?t=0123456789abcdef",
        "https://bucket/key?X-Amz-Signature=00",
        "https://cdn/key?Expires=1&Signature=abc~",
        "{'authorization': 'Bearer 0123456789'}",
        "v1,0123456789abcdefghijklmnopqrstuvwxyzABCDEFG=",
        "-----BEGIN PRIVATE KEY-----",
        "data:image/png;base64,AAAA",
    ],
)
def test_the_shapes_find_what_they_are_for(line: str) -> None:
    assert any(re.search(shape, line) for shape in SHAPES.values())
