"""Webhooks that are lost, duplicated, reordered or forged: one result each."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.driver import sign

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


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
    driver: Driver, faults: dict[str, Any]
) -> None:
    prompt = f"webhooks {faults}"
    driver.faults(**faults)
    accepted = driver.submit(prompt)
    shown = driver.finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert len(driver.made_of(prompt)) == 1
    assert len(shown["darkroom"]["files"]) == 1


def test_w61_a_forged_webhook_changes_nothing(driver: Driver) -> None:
    driver.faults(time_scale=2, webhook_drop=1)
    accepted = driver.submit("forged")
    (made,) = driver.made_of("forged")
    path, key = driver.hook_path("forged"), driver.webhook_key()
    body = json.dumps({"id": made["id"], "status": "failed", "error": "forged"}).encode()
    now = int(time.time())
    another_token = f"{path.partition('?')[0]}?t={'A' * 32}"
    forgeries = {
        "wrong key": (path, now, body, sign(bytes(32), now, body)),
        "stale": (path, now - 600, body, sign(key, now - 600, body)),
        "changed body": (path, now, body + b" ", sign(key, now, body)),
        "wrong link token": (another_token, now, body, sign(key, now, body)),
        "unsigned": (path, now, body, ""),
    }
    answers = set()
    for name, (to, at, sent, signature) in forgeries.items():
        refused = driver.hook(to, sent, at=at, signature=signature)
        assert refused.status_code == 401, name
        item = driver.record(accepted["id"])
        assert "error" not in item, name
        assert item["provider_id"]["S"] == made["id"], name
        assert item["state"]["S"] != "failed", name
        answers.add(refused.text)
    assert len(answers) == 1, "the answer tells a forger what was wrong"
    assert driver.finished(accepted["id"])["status"] == "succeeded"
