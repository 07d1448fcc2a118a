"""Webhooks that are lost, duplicated, reordered or forged: one result each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.test_creates import created, submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.cloud import EmbeddedCloud


@pytest.mark.parametrize(
    "faults",
    [
        {"webhook_drop": 1},
        {"webhook_duplicate": 1},
        {"webhook_reorder": 1},
        {"webhook_bad_signature": 1},
        {"webhook_stale": 1},
        {"webhook_duplicate": 1, "webhook_reorder": 1, "webhook_drop": 0.5},
        {"get_404_s": 3, "webhook_drop": 1},
        {"list_lag_s": 5, "webhook_drop": 1},
    ],
    ids="+".join,
)
def test_whatever_happens_to_webhooks_there_is_one_result(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
    faults: dict[str, Any],
) -> None:
    prompt = f"webhooks {faults}"
    set_faults(**faults)
    accepted = submit(api, prompt)
    shown = finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert len(created(upstream, prompt)) == 1
    assert len(shown["darkroom"]["files"]) == 1


def test_w61_a_forged_webhook_changes_nothing(
    cloud: EmbeddedCloud,
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(time_scale=2, webhook_drop=1)
    accepted = submit(api, "forged")
    (made,) = created(upstream, "forged")
    url = urlsplit(made["webhook"])
    token = url.query.removeprefix("t=")
    key = webhook_key(cloud)
    body = json.dumps({"id": made["id"], "status": "failed", "error": "forged"}).encode()
    now = int(time.time())
    forgeries = {
        "wrong key": (token, now, body, signed(bytes(32), now, body)),
        "stale": (token, now - 600, body, signed(key, now - 600, body)),
        "changed body": (token, now, body + b" ", signed(key, now, body)),
        "wrong link token": ("A" * 32, now, body, signed(key, now, body)),
        "unsigned": (token, now, body, ""),
    }
    before = row(cloud, accepted["id"])
    answers = set()
    for name, (t, at, sent, mac) in forgeries.items():
        refused = httpx.post(
            f"{cloud.base_url}{url.path}?t={t}",
            content=sent,
            headers={
                "content-type": "application/json",
                "webhook-id": "msg_forged",
                "webhook-timestamp": str(at),
                "webhook-signature": mac,
            },
            trust_env=False,
        )
        assert refused.status_code == 401, name
        assert row(cloud, accepted["id"]) == before, name
        answers.add(refused.text)
    assert len(answers) == 1, "the answer tells a forger what was wrong"
    assert finished(accepted["id"])["status"] == "succeeded"


def webhook_key(cloud: EmbeddedCloud) -> bytes:
    answer = httpx.get(
        f"{cloud.replicate_url}/v1/webhooks/default/secret",
        headers={"Authorization": f"Bearer {cloud.replicate_token}"},
        trust_env=False,
    )
    return base64.b64decode(answer.json()["key"].removeprefix("whsec_"))


def signed(key: bytes, at: int, body: bytes) -> str:
    mac = hmac.digest(key, b"msg_forged.%d.%s" % (at, body), hashlib.sha256)
    return f"v1,{base64.b64encode(mac).decode()}"


def row(cloud: EmbeddedCloud, id_: str) -> dict[str, Any]:
    """Return the fields that the forged body would have changed; polls may change the others."""
    item = cloud.client("dynamodb").get_item(
        TableName=cloud.outputs["PredictionsTable"], Key={"id": {"S": id_}}, ConsistentRead=True
    )["Item"]
    names = ("provider_id", "error", "output", "completed_at")
    return {name: item[name]["S"] if name in item else None for name in names}
