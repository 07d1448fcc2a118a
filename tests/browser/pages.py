"""The console's pages, each with something on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.files import scene
from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

INPAINTER = "black-forest-labs/flux-fill-dev"
PROMPT = "A harbor in the first light, with paper lanterns along the quay"


def filled(visitor: Visitor, driver: Driver, prompt: str = PROMPT) -> Iterator[str]:
    """Show one page after the other; yields the name of what the visitor sees."""
    made = _told_to_a_client(driver, prompt)
    failed = driver.run("FAIL on purpose, so that there is an error to be seen")
    page = visitor.page

    visitor.opens()
    expect(visitor.field("API key")).to_be_visible()
    yield "sign-in"
    visitor.arrives()
    yield "playground"
    visitor.asks_for(prompt)
    visitor.sees_picture(visitor.results.first.get_by_role("img").first)
    page.get_by_text("More", exact=True).click()
    yield "playground-result"
    page.get_by_role("button", name="Change model").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "models"
    page.get_by_role("dialog").get_by_role("button", name=INPAINTER, exact=True).click()
    visitor.drops(visitor.field("image"), "wall.png", scene(), "image/png")
    page.get_by_role("button", name="Paint mask").click()
    canvas = page.get_by_role("dialog").get_by_role("img", name=re.compile("Mask"))
    visitor.drags_across(canvas, (0.3, 0.4), (0.6, 0.6))
    yield "mask"
    page.get_by_role("button", name="Use mask").click()

    visitor.goes_to("Gallery")
    visitor.settles("Gallery")
    for number in (0, 1):
        visitor.sees_picture(page.get_by_role("main").get_by_role("img").nth(number))
    page.evaluate("scrollTo(0, 0)")
    yield "gallery"
    page.get_by_label("Tag", exact=True).fill("there-is-no-such-tag")
    page.get_by_label("Tag", exact=True).press("Enter")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    yield "gallery-empty"
    visitor.looks_at(made)
    page.get_by_text("curl", exact=True).click()
    visitor.sees_picture(page.get_by_role("main").get_by_role("img").first)
    page.evaluate("scrollTo(0, 0)")
    yield "prediction"
    page.get_by_role("button", name="Upscale").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "upscale"
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    visitor.looks_at(failed["id"])
    yield "prediction-failed"
    visitor.looks_at("0" * 26, heading=None)
    expect(page.get_by_role("alert")).to_be_visible()
    yield "prediction-unknown"
    visitor.goes_to("Usage")
    visitor.settles("Usage")
    yield "usage"


def _told_to_a_client(driver: Driver, prompt: str) -> str:
    """Make a picture with tags and metadata, whose end a client is told of; its id."""
    with receiving() as receiver:
        made = driver.create(
            input={"prompt": prompt},
            tags=["harbor", "spring-campaign"],
            metadata={"order": "4711"},
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        id_ = str(made["id"])
        driver.finished(id_)
        until(lambda: driver.callback_state(id_) == "delivered")
    return id_
