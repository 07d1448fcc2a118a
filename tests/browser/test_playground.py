"""The playground: forms, files, masks, states, costs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.files import COLOR, SIZE, large_photo, photo, received

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Route

    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

EDITOR = "black-forest-labs/flux-kontext-pro"
INPAINTERS = {
    "white": "black-forest-labs/flux-fill-dev",
    "black": "ideogram-ai/ideogram-v3-turbo",
}
"""By the color of what is repainted."""


def test_the_form_makes_a_picture(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.asks_for("A pier in the fog")
    made = visitor.results.first
    expect(made.get_by_text("Succeeded")).to_be_visible()
    visitor.sees_picture(made.get_by_role("img", name="A pier in the fog").first)
    assert len(driver.made_of("A pier in the fog")) == 1


def test_the_form_tells_the_cost_before_and_after(visitor: Visitor) -> None:
    visitor.arrives()
    visitor.field("prompt").fill("Two gulls")
    expect(visitor.page.get_by_text(re.compile(r"at most \$0\.\d+"))).to_be_visible()
    visitor.generate.click()
    expect(visitor.results.first.get_by_text(re.compile(r"\$0\.\d+"))).to_be_visible()


def test_a_double_click_makes_one(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.field("prompt").fill("Once only")
    visitor.generate.dblclick()
    expect(visitor.results.get_by_text("Succeeded")).to_be_visible()
    expect(visitor.results).to_have_count(1)
    assert len(driver.made_of("Once only")) == 1


def test_a_lost_answer_makes_one(visitor: Visitor, driver: Driver) -> None:
    """The request arrives, its answer does not, and the page asks again with the same key."""
    visitor.expects_lost("/v1/models/.*/predictions")
    lost: list[str | None] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.headers.get("idempotency-key"))
        route.fetch()
        route.abort("connectionreset")

    visitor.arrives()
    visitor.page.route(re.compile(r"/v1/models/.*/predictions$"), lose_the_first)
    with visitor.page.expect_response(re.compile(r"/v1/models/.*/predictions$")) as answered:
        visitor.asks_for("Answered late")
    expect(visitor.results.first.get_by_text("Succeeded")).to_be_visible()
    expect(visitor.results).to_have_count(1)
    assert answered.value.request.headers["idempotency-key"] == lost[0]
    assert len(driver.made_of("Answered late")) == 1


def test_what_is_wrong_with_the_input_is_told_at_the_field(visitor: Visitor) -> None:
    visitor.arrives()
    visitor.field("prompt").fill("")
    visitor.generate.click()
    expect(visitor.page.get_by_text("is required")).to_be_visible()
    expect(visitor.field("prompt")).to_be_focused()
    expect(visitor.results).to_have_count(0)


def test_the_states_are_followed_without_a_reload(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.page.evaluate("window.notReloaded = true")
    with driver.without("Persist"):
        driver.faults(create_429=1, retry_after_s=1)
        visitor.asks_for("Slow as a tide")
        made = visitor.results.first
        expect(made.get_by_text("Starting")).to_be_visible()
        expect(made.get_by_role("progressbar")).to_be_visible()
        driver.faults()
        expect(made.get_by_text("Processing")).to_be_visible()
        expect(made.get_by_role("button", name="Cancel")).to_be_visible()
    expect(made.get_by_text("Succeeded")).to_be_visible()
    visitor.sees_picture(made.get_by_role("img").first)
    expect(made.get_by_role("button", name="Cancel")).to_have_count(0)
    assert visitor.page.evaluate("window.notReloaded")


def test_several_run_at_a_time(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    prompts = ("First of three", "Second of three", "Third of three")
    with driver.without("Persist"):
        for number, prompt in enumerate(prompts, start=1):
            visitor.asks_for(prompt)
            expect(visitor.results).to_have_count(number)
            expect(visitor.generate).to_be_enabled()
    expect(visitor.results.get_by_text("Succeeded")).to_have_count(3)
    for place, prompt in enumerate(reversed(prompts)):
        expect(visitor.results.nth(place)).to_contain_text(prompt)


def test_a_running_one_is_canceled(visitor: Visitor, driver: Driver) -> None:
    driver.faults(time_scale=600)
    visitor.arrives()
    visitor.asks_for("Never to be seen")
    made = visitor.results.first
    made.get_by_role("button", name="Cancel").click()
    expect(made.get_by_text("Canceled").last).to_be_visible()
    (upstream,) = driver.made_of("Never to be seen")
    assert upstream["status"] == "canceled"


def test_a_failure_is_told_in_words(visitor: Visitor) -> None:
    visitor.arrives()
    visitor.asks_for("FAIL as asked")
    made = visitor.results.first
    expect(made.get_by_text("Failed").last).to_be_visible()
    expect(made).to_contain_text("ran out of memory")


def test_a_picture_is_edited_by_drag_and_drop(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.chooses(EDITOR)
    visitor.drops(visitor.field("input_image"), "harbor.png", photo(), "image/png")
    visitor.has_chosen("harbor.png")
    visitor.asks_for("The same in winter")
    visitor.sees_picture(visitor.results.first.get_by_role("img").first)
    (made,) = driver.made_of("The same in winter")
    sent = received(made["input"]["input_image"])
    assert sent.size == SIZE
    assert sent.convert("RGB").getpixel((5, 5)) == COLOR


def test_a_picture_is_pasted(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.chooses(EDITOR)
    expect(visitor.field("input_image")).to_be_enabled()
    visitor.pastes("pasted.png", photo(), "image/png")
    visitor.has_chosen("pasted.png")
    visitor.asks_for("Pasted and edited")
    visitor.sees_picture(visitor.results.first.get_by_role("img").first)
    (made,) = driver.made_of("Pasted and edited")
    assert received(made["input"]["input_image"]).size == SIZE


def test_a_large_file_is_uploaded_past_the_gateway(
    visitor: Visitor, driver: Driver, tmp_path: Path
) -> None:
    visitor.arrives()
    visitor.chooses(EDITOR)
    visitor.field("input_image").set_input_files(large_photo(tmp_path))
    visitor.has_chosen("large.png")
    visitor.asks_for("Large, and edited")
    visitor.sees_picture(visitor.results.first.get_by_role("img").first)
    (made,) = driver.made_of("Large, and edited")
    assert received(made["input"]["input_image"]).size == (1600, 1200)


@pytest.mark.parametrize("repaints", INPAINTERS)
def test_a_mask_is_painted(visitor: Visitor, driver: Driver, repaints: str) -> None:
    """The mask has the picture's size, however large it is shown, and the model's polarity."""
    size, prompt = (1200, 600), f"A window, {repaints}"
    visitor.arrives()
    visitor.chooses(INPAINTERS[repaints])
    visitor.drops(visitor.field("image"), "wall.png", photo(size), "image/png")
    visitor.page.get_by_role("button", name="Paint mask").click()
    painter = visitor.page.get_by_role("dialog")
    canvas = painter.get_by_role("img", name=re.compile("Mask"))
    visitor.drags_across(canvas, (0.1, 0.25), (0.4, 0.25))
    visitor.drags_across(canvas, (0.6, 0.75), (0.9, 0.75))
    painter.get_by_role("button", name="Undo").click()
    painter.get_by_role("button", name="Use mask").click()
    expect(painter).to_have_count(0)
    visitor.has_chosen("mask.png")
    visitor.asks_for(prompt)
    visitor.sees_picture(visitor.results.first.get_by_role("img").first)

    (made,) = driver.made_of(prompt)
    mask = received(made["input"]["mask"]).convert("L")
    assert mask.size == size
    painted, kept = (255, 0) if repaints == "white" else (0, 255)
    assert mask.getpixel((300, 150)) == painted
    assert mask.getpixel((900, 450)) == kept  # taken back by Undo
    assert mask.getpixel((600, 300)) == kept


def test_a_mask_is_erased_and_cleared(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.chooses(INPAINTERS["white"])
    visitor.drops(visitor.field("image"), "wall.png", photo((400, 400)), "image/png")
    visitor.page.get_by_role("button", name="Paint mask").click()
    painter = visitor.page.get_by_role("dialog")
    canvas = painter.get_by_role("img", name=re.compile("Mask"))
    visitor.drags_across(canvas, (0.1, 0.9), (0.9, 0.9))
    painter.get_by_role("button", name="Clear").click()
    expect(painter.get_by_role("button", name="Use mask")).to_be_disabled()
    visitor.drags_across(canvas, (0.1, 0.5), (0.9, 0.5))
    painter.get_by_label("Erase").check()
    visitor.drags_across(canvas, (0.5, 0.3), (0.5, 0.7))
    painter.get_by_role("button", name="Use mask").click()
    expect(painter).to_have_count(0)
    visitor.asks_for("A hole in the wall")
    expect(visitor.results.first.get_by_text("Succeeded")).to_be_visible()

    (made,) = driver.made_of("A hole in the wall")
    mask = received(made["input"]["mask"]).convert("L")
    line = [mask.getpixel((x, 200)) for x in (100, 200, 300)]
    assert line == [255, 0, 255]
    assert mask.getpixel((200, 360)) == 0


def test_a_mask_is_made_by_the_keyboard_alone(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    visitor.chooses(INPAINTERS["white"])
    visitor.drops(visitor.field("image"), "wall.png", photo((400, 400)), "image/png")
    visitor.page.get_by_role("button", name="Paint mask").press("Enter")
    painter = visitor.page.get_by_role("dialog")
    for name, value in {"Left": "40", "Top": "80", "Width": "100", "Height": "60"}.items():
        painter.get_by_label(name, exact=True).fill(value)
    painter.get_by_label("Height", exact=True).press("Enter")
    painter.get_by_role("button", name="Add rectangle").press("Enter")
    painter.get_by_role("button", name="Use mask").press("Enter")
    expect(painter).to_have_count(0)
    visitor.asks_for("A door in the wall")
    expect(visitor.results.first.get_by_text("Succeeded")).to_be_visible()
    (made,) = driver.made_of("A door in the wall")
    mask = received(made["input"]["mask"]).convert("L")
    assert mask.getbbox() == (40, 80, 140, 140)


def test_the_form_is_as_it_was_left(visitor: Visitor) -> None:
    visitor.arrives()
    visitor.field("prompt").fill("Half a thought")
    visitor.goes_to("Gallery")
    visitor.goes_to("Playground")
    expect(visitor.field("prompt")).to_have_value("Half a thought")


def test_without_the_door_wait_states_are_polled(visitor: Visitor, driver: Driver) -> None:
    """As on a stage that has not opened it: no answer has the URL of a wait."""

    def without_watch(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        body.get("urls", {}).pop("watch", None)
        route.fulfill(response=answer, json=body)

    visitor.page.route(re.compile(r"/predictions(/\w+)?$"), without_watch)
    visitor.arrives()
    with driver.without("Persist"):
        visitor.asks_for("Polled to the end")
        expect(visitor.results.first.get_by_text("Processing")).to_be_visible()
    expect(visitor.results.first.get_by_text("Succeeded")).to_be_visible()
    assert not [url for url in visitor.requests if "/wait" in url]
