"""A create whose answer and webhooks are lost is made once, in any form of the provider's list."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.e2e.driver import DEV, SCHNELL
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from tests.e2e.driver import Driver

LOST_FOR_S = 30
SILENT_S = 16
"""Age from which an invisible create is repeated: its own 5 s, and 10 s of silence."""
SHOWN: list[dict[str, str]] = [
    *({"show_input": mode} for mode in ("urls", "known", "rounded", "trimmed", "masked", "empty")),
    *({"show_version": mode} for mode in ("hidden", "internal")),
    # The last one, because from now on an input alone may identify a prediction.
    {"show_input": "exact", "show_version": "true"},
]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
DEV_VERSION = f"{DEV}:6e4a938f85952bdabcc15aa329178c4d681c52bf25a0342403287dc26944661d"
SDXL = "stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
MODELS: list[tuple[str, dict[str, Any]]] = [
    (SCHNELL, {"megapixels": "0.25"}),
    (DEV, {"image": PIXEL, "prompt_strength": 0.9, "megapixels": "0.25"}),
    (SDXL, {"width": 128, "height": 128}),
    (DEV_VERSION, {"megapixels": "0.25"}),
]


class Lost:
    """Creates without any report: no answer, no webhook."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._name = name
        self.ids: dict[str, str] = {}
        """By prompt."""

    def submit(self) -> None:
        """With an input that is shown differently in every mode except `exact`."""
        number = len(self.ids)
        version, values = MODELS[number % len(MODELS)]
        prompt = f" {self._name}, number {number}\n"
        # No schema has the name, and no float represents the integer.
        input_ = {"prompt": prompt, "note": [PIXEL, 2**53 + 1], **values}
        self.ids[prompt] = self._driver.create(version, input=input_)["id"]

    def unknown(self) -> bool:
        """Whether it is unknown of any of them whether it was made."""
        return any(
            self._driver.shown(id_)["darkroom"]["provider_id"] is None for id_ in self.ids.values()
        )

    def look(self) -> bool:
        """Run one tick. Returns whether it searched the provider's list for any of them."""
        tick = self._driver.anyone.post("/_local/sweep").json()
        assert tick["ok"], tick
        return bool(tick["done"].get("looked"))

    def made(self) -> dict[str, list[str]]:
        """Return the upstream predictions, by prompt."""
        everything = self._driver.upstream()
        return {
            prompt: [one["id"] for one in everything if one["input"].get("prompt") == prompt]
            for prompt in self.ids
        }

    def check(self) -> None:
        """Assert that each was made once, and that its record has it."""
        ended = {prompt: self._driver.finished(id_) for prompt, id_ in self.ids.items()}
        assert {shown["status"] for shown in ended.values()} == {"succeeded"}
        bound = {prompt: [shown["darkroom"]["provider_id"]] for prompt, shown in ended.items()}
        assert self.made() == bound


def test_with_the_webhook_in_the_list(driver: Driver) -> None:
    lost = Lost(driver, "with its webhook")

    def another_one_until_one_is_looked_for() -> bool:
        lost.submit()
        return lost.look()

    for shown in SHOWN:
        driver.faults(create_accept_then_drop=1, webhook_drop=1, **shown)
        until(another_one_until_one_is_looked_for)
    # The last of them is found in the list, and they end, by polls alone.
    driver.faults(webhook_drop=1, **SHOWN[0])
    lost.check()


def test_without_the_webhook_in_the_list(driver: Driver) -> None:
    lost = Lost(driver, "without its webhook")
    faults = {"webhook_drop": 1, "echo_webhook": False}
    driver.faults(create_accept_then_drop=1, **faults, **SHOWN[0])
    # Two of each model, which only their webhooks distinguish.
    for _ in range(2 * len(MODELS)):
        lost.submit()
    last = time.monotonic()
    until(lambda: time.monotonic() > last + SILENT_S)
    for shown in SHOWN:
        driver.faults(**faults, **shown)
        until(lambda: lost.look() or not lost.unknown())
    until(lambda: time.monotonic() > last + LOST_FOR_S)
    twice = {prompt: ids for prompt, ids in lost.made().items() if len(ids) != 1}
    assert twice == {}
    driver.faults()
    lost.check()
