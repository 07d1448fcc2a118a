"""Creates that hang, arrive late, are rejected or stay unknown: each prediction is made once."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.driver import DEV, SCHNELL

if TYPE_CHECKING:
    from tests.e2e.driver import Driver

HANGS_S = 60


def test_unknown_creates_hold_nobody_and_are_repeated_once(driver: Driver) -> None:
    driver.submit("warm")
    driver.faults(create_hang_s=HANGS_S)
    began = time.monotonic()
    # A different model from those of other tests: a prediction without an owner, of the last minute
    # and a half, could be taken for this create.
    hanging = driver.submit("hanging", model=DEV)
    assert time.monotonic() - began < HANGS_S / 2
    driver.faults(create_500=1)
    failing = driver.submit("failing", model=DEV)
    for accepted, prompt in ((hanging, "hanging"), (failing, "failing")):
        assert accepted["status"] == "starting"
        assert driver.made_of(prompt) == []
    driver.faults()
    for accepted, prompt in ((hanging, "hanging"), (failing, "failing")):
        shown = driver.finished(accepted["id"])
        assert (shown["status"], shown["darkroom"]["attempts"]) == ("succeeded", 2)
        assert len(driver.made_of(prompt)) == 1


def test_a_create_that_happens_late_is_found_and_not_repeated(driver: Driver) -> None:
    driver.faults(create_late_s=6)
    accepted = driver.submit("late")
    assert accepted["darkroom"]["provider_id"] is None
    shown = driver.finished(accepted["id"])
    assert shown["status"] == "succeeded"
    made = driver.made_of("late")
    assert [m["id"] for m in made] == [shown["darkroom"]["provider_id"]]
    assert shown["darkroom"]["attempts"] == 1


def test_throttled_creates_wait_as_long_as_they_were_told(driver: Driver) -> None:
    driver.faults(create_429=1, retry_after_s=4)
    accepted, asked_at = [], []
    for number in range(3):
        asked_at.append(time.time())
        accepted.append(driver.submit(f"throttled {number}"))
    driver.faults()
    for number, prediction in enumerate(accepted):
        assert prediction["status"] == "starting"
        assert driver.finished(prediction["id"])["status"] == "succeeded"
        (made,) = driver.made_of(f"throttled {number}")
        # Told in whole seconds, the fraction being cut off.
        made_at = datetime.fromisoformat(made["created_at"]).timestamp()
        assert made_at - asked_at[number] >= 3, "created before the provider's own pause was over"


@pytest.mark.parametrize("echo_webhook", [True, False])
def test_two_ambiguous_creates_of_one_input_end_as_two(
    driver: Driver, *, echo_webhook: bool
) -> None:
    prompt = f"ambiguous, echo {echo_webhook}"
    driver.faults(create_accept_then_drop=1, echo_webhook=echo_webhook)
    accepted = [driver.submit(prompt, seed=7) for _ in range(2)]
    driver.faults(echo_webhook=echo_webhook)
    ended = [driver.finished(prediction["id"]) for prediction in accepted]
    assert [shown["status"] for shown in ended] == ["succeeded", "succeeded"]
    ids = {shown["darkroom"]["provider_id"] for shown in ended}
    assert ids == {made["id"] for made in driver.made_of(prompt)}
    assert len(ids) == 2


@pytest.mark.parametrize("echo_webhook", [True, False])
def test_an_ambiguous_create_is_found_though_every_webhook_is_lost(
    driver: Driver, *, echo_webhook: bool
) -> None:
    prompt = f"ambiguous and silent, echo {echo_webhook}"
    faults = {"webhook_drop": 1, "echo_webhook": echo_webhook}
    driver.faults(create_accept_then_drop=1, **faults)
    # Only its input identifies it: as above, no other test's prediction may be equal.
    accepted = driver.submit(prompt, model=DEV)
    driver.faults(**faults)
    shown = driver.finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert [m["id"] for m in driver.made_of(prompt)] == [shown["darkroom"]["provider_id"]]


def test_cancel_ends_a_running_prediction_here_and_upstream(driver: Driver) -> None:
    driver.faults(time_scale=20)
    accepted = driver.submit("to be canceled")
    answer = driver.api.post(f"/v1/predictions/{accepted['id']}/cancel")
    assert answer.status_code == 200
    assert driver.finished(accepted["id"])["status"] == "canceled"
    assert driver.made_of("to be canceled")[0]["status"] == "canceled"


def test_a_deadline_is_passed_on_and_enforced(driver: Driver) -> None:
    driver.faults(time_scale=30)
    answer = driver.api.post(
        f"/v1/models/{SCHNELL}/predictions",
        json={"input": {"prompt": "too slow"}},
        headers={"Cancel-After": "5s"},
    )
    assert answer.status_code == 201
    shown = driver.finished(answer.json()["id"])
    assert shown["status"] == "canceled"
    assert shown["darkroom"]["code"] == "deadline_exceeded"


def test_never_sent_and_cancelled_is_never_sent(driver: Driver) -> None:
    driver.faults(create_429=1, retry_after_s=3)
    accepted = driver.submit("never sent")
    canceled = driver.api.post(f"/v1/predictions/{accepted['id']}/cancel").json()
    assert canceled["status"] == "canceled"
    assert driver.made_of("never sent") == []
