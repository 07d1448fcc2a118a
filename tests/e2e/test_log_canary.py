"""Nothing secret is logged: checked here, and for each whole run when its cloud stops
(conftest)."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.canary import CANARY, SHAPES, leaks, logged, secrets_in_play
from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


@pytest.fixture
def exercised(driver: Driver) -> None:
    """Every way for a secret to arrive, including rejected and failing requests."""
    driver.faults(output_404=1)
    broken = driver.submit(f"{CANARY} broken")["id"]
    driver.faults()
    watch = driver.shown(broken)["urls"]["watch"]
    assert driver.anyone.get(f"{watch}&seconds=1").status_code == 200
    assert driver.anyone.get(f"{watch}{CANARY}").status_code == 404
    assert driver.api.get(f"/v1/predictions/{broken}/wait?seconds=1").status_code == 200
    with receiving() as receiver:
        called = driver.called_back(f"{receiver.url}?secret={CANARY}", "completed")
        until(lambda: driver.callback_state(called) == "delivered")
    image = f"data:text/plain;base64,{CANARY}"
    for body in (
        {"version": "black-forest-labs/flux-schnell", "input": {"prompt": [CANARY]}},
        {"version": CANARY, "input": {"image": image}},
        {CANARY: 1},
        [CANARY],
    ):
        assert driver.api.post("/v1/predictions", json=body).status_code in {400, 422}
    driver.api.post("/v1/predictions", content=CANARY, headers={"content-type": "application/json"})
    for headers in (
        {"authorization": f"Bearer {CANARY}"},
        {"authorization": f"Bearer dk_{CANARY}", "cookie": CANARY, "x-api-key": CANARY},
    ):
        refused = driver.anyone.get(f"/v1/predictions?token={CANARY}", headers=headers)
        assert refused.status_code == 401
    driver.api.get(f"/v1/predictions/{CANARY}", params={"cursor": CANARY})
    driver.api.get("/v1/predictions", params={"cursor": CANARY})
    driver.api.post("/v1/files", files={"content": (CANARY, CANARY.encode())})
    driver.anyone.post(
        f"/hooks/replicate/{called}?t={CANARY}",
        content=json.dumps({"id": CANARY, "logs": CANARY}),
        headers={
            "webhook-id": CANARY,
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": "v1," + "A" * 43 + "=",
        },
    )
    driver.finished(broken)


@pytest.mark.usefixtures("exercised")
def test_a68_no_secret_and_no_prompt_is_in_any_log(driver: Driver) -> None:
    kinds = set(secrets_in_play(driver.cloud).values())
    assert {"API token", "Replicate token", "callback secret", "link token", "prompt"} <= kinds
    assert sum(kind.startswith("part of ") for kind in kinds) >= 3
    texts = logged(driver.cloud)
    for function in ("Submit", "Webhook", "Persist", "Deliver", "Relay", "Read"):
        group = f"/{function}Logs"
        assert any(group in place and text for place, text in texts.items()), texts.keys()
    assert "answered" in texts["wait.log"]
    said = "".join(texts.values())
    assert '"refused"' in said
    assert "webhook refused" in said
    assert leaks(driver.cloud) == []


@pytest.mark.parametrize(
    "line",
    [
        "dk_0123456789abcdefghijkl",
        "r8_0123456789abcdefghijkl",
        "whsec_0123456789abcdefghijkl",
        "POST /hooks/replicate/x?t=0123456789abcdef",
        "GET /v1/predictions/x/watch?t=1796083200.0123456789abcdef",
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
