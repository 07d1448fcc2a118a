"""Creates that hang, arrive late, are rejected or stay unknown: each prediction is made once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from local.cloud import EmbeddedCloud

SCHNELL = "black-forest-labs/flux-schnell"
DEV = "black-forest-labs/flux-dev"


def submit(
    api: httpx.Client, prompt: str, *, model: str = SCHNELL, **input_: Any
) -> dict[str, Any]:
    answer = api.post(
        "/v1/predictions",
        json={"version": model, "input": {"prompt": prompt, **input_}},
        # Equal requests shall create predictions here.
        headers={"Darkroom-Cache": "bypass"},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def created(upstream: Callable[[], list[dict[str, Any]]], prompt: str) -> list[dict[str, Any]]:
    return [made for made in upstream() if made["input"].get("prompt") == prompt]


def test_unknown_creates_hold_nobody_and_are_repeated_once(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    submit(api, "warm")
    set_faults(create_hang_s=60)
    began = time.monotonic()
    # A different model from those of other tests: a prediction without an owner, of the last minute
    # and a half, could be taken for this create.
    hanging = submit(api, "hanging", model=DEV)
    assert time.monotonic() - began <= 3.5
    set_faults(create_500=1)
    failing = submit(api, "failing", model=DEV)
    for accepted, prompt in ((hanging, "hanging"), (failing, "failing")):
        assert accepted["status"] == "starting"
        assert created(upstream, prompt) == []
    set_faults()
    for accepted, prompt in ((hanging, "hanging"), (failing, "failing")):
        shown = finished(accepted["id"])
        assert (shown["status"], shown["darkroom"]["attempts"]) == ("succeeded", 2)
        assert len(created(upstream, prompt)) == 1


def test_a_create_that_happens_late_is_found_and_not_repeated(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(create_late_s=6)
    accepted = submit(api, "late")
    assert accepted["darkroom"]["provider_id"] is None
    shown = finished(accepted["id"])
    assert shown["status"] == "succeeded"
    made = created(upstream, "late")
    assert [m["id"] for m in made] == [shown["darkroom"]["provider_id"]]
    assert shown["darkroom"]["attempts"] == 1


def test_throttled_creates_wait_as_long_as_they_were_told(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
    cloud: EmbeddedCloud,
) -> None:
    set_faults(create_429=1, retry_after_s=4)
    accepted = [submit(api, f"throttled {n}") for n in range(3)]
    told = time.time()
    set_faults()
    for prediction in accepted:
        assert prediction["status"] == "starting"
        assert finished(prediction["id"])["status"] == "succeeded"
    made = [created(upstream, f"throttled {n}") for n in range(3)]
    assert [len(m) for m in made] == [1, 1, 1]
    for (one,) in made:
        at = time.mktime(time.strptime(one["created_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert at - told >= 2, "created before the provider's own pause was over"


@pytest.mark.parametrize("echo_webhook", [True, False])
def test_two_ambiguous_creates_of_one_input_end_as_two(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
    *,
    echo_webhook: bool,
) -> None:
    prompt = f"ambiguous, echo {echo_webhook}"
    set_faults(create_accept_then_drop=1, echo_webhook=echo_webhook)
    accepted = [submit(api, prompt, seed=7) for _ in range(2)]
    set_faults(echo_webhook=echo_webhook)
    ended = [finished(prediction["id"]) for prediction in accepted]
    assert [shown["status"] for shown in ended] == ["succeeded", "succeeded"]
    ids = {shown["darkroom"]["provider_id"] for shown in ended}
    assert ids == {made["id"] for made in created(upstream, prompt)}
    assert len(ids) == 2


@pytest.mark.parametrize("echo_webhook", [True, False])
def test_an_ambiguous_create_is_found_though_every_webhook_is_lost(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
    *,
    echo_webhook: bool,
) -> None:
    prompt = f"ambiguous and silent, echo {echo_webhook}"
    faults = {"webhook_drop": 1, "echo_webhook": echo_webhook}
    set_faults(create_accept_then_drop=1, **faults)
    # Only its input identifies it: as above, no other test's prediction may be equal.
    accepted = submit(api, prompt, model=DEV)
    set_faults(**faults)
    shown = finished(accepted["id"])
    assert shown["status"] == "succeeded"
    assert [m["id"] for m in created(upstream, prompt)] == [shown["darkroom"]["provider_id"]]


def test_cancel_ends_a_running_prediction_here_and_upstream(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(time_scale=20)
    accepted = submit(api, "to be canceled")
    answer = api.post(f"/v1/predictions/{accepted['id']}/cancel")
    assert answer.status_code == 200
    assert finished(accepted["id"])["status"] == "canceled"
    assert created(upstream, "to be canceled")[0]["status"] == "canceled"


def test_a_deadline_is_passed_on_and_enforced(
    api: httpx.Client,
    set_faults: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
) -> None:
    set_faults(time_scale=30)
    answer = api.post(
        f"/v1/models/{SCHNELL}/predictions",
        json={"input": {"prompt": "too slow"}},
        headers={"Cancel-After": "5s"},
    )
    assert answer.status_code == 201
    shown = finished(answer.json()["id"])
    assert shown["status"] == "canceled"
    assert shown["darkroom"]["code"] == "deadline_exceeded"


def test_never_sent_and_cancelled_is_never_sent(
    api: httpx.Client,
    set_faults: Callable[..., None],
    upstream: Callable[[], list[dict[str, Any]]],
) -> None:
    set_faults(create_429=1, retry_after_s=3)
    accepted = submit(api, "never sent")
    canceled = api.post(f"/v1/predictions/{accepted['id']}/cancel").json()
    assert canceled["status"] == "canceled"
    assert created(upstream, "never sent") == []
