"""The whole story by the keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

FARTHEST = 150
PROMPT = "Found by the keyboard"


def tabs_to(visitor: Visitor, target: Locator) -> None:
    """Press Tab until the focus is there, and see that it can be seen."""
    expect(target).to_be_visible()
    for _ in range(FARTHEST):
        if target.evaluate("element => element === document.activeElement"):
            break
        visitor.page.keyboard.press("Tab")
    expect(target).to_be_focused()
    seen = target.evaluate(
        """(element) => {
            const style = getComputedStyle(element);
            const box = element.getBoundingClientRect();
            const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
            return (outlined || style.boxShadow !== "none") && box.top < innerHeight
                && box.bottom > 0;
        }"""
    )
    assert seen, "the focus cannot be seen"


def test_a_picture_is_made_found_and_enlarged_without_a_mouse(visitor: Visitor) -> None:
    page = visitor.page
    visitor.opens()
    expect(visitor.field("API key")).to_be_focused()
    page.keyboard.type(visitor.token)
    page.keyboard.press("Enter")

    tabs_to(visitor, page.get_by_role("button", name="Change model"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Search models")).to_be_focused()
    page.keyboard.type("schnell")
    tabs_to(visitor, dialog.get_by_role("button", name="black-forest-labs/flux-schnell"))
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Change model")).to_be_focused()

    tabs_to(visitor, visitor.field("prompt"))
    page.keyboard.type(PROMPT)
    tabs_to(visitor, visitor.generate)
    page.keyboard.press("Enter")
    made = visitor.results.first
    expect(made.get_by_text("Succeeded")).to_be_visible()

    tabs_to(visitor, made.get_by_role("button", name="Upscale"))
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(made.get_by_role("button", name="Upscale")).to_be_focused()

    skip = page.get_by_role("button", name="Skip to content")
    page.get_by_role("navigation").get_by_role("link", name="Playground").focus()
    page.keyboard.press("Shift+Tab")
    expect(skip).to_be_focused()
    page.keyboard.press("Tab")
    tabs_to(visitor, page.get_by_role("navigation").get_by_role("link", name="Gallery"))
    page.keyboard.press("Enter")
    found = page.get_by_role("link", name=f"Open: {PROMPT}").first
    tabs_to(visitor, found)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=PROMPT)).to_be_visible()

    tabs_to(visitor, page.get_by_role("button", name="Another seed"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("main").get_by_text("Succeeded").first).to_be_visible()

    tabs_to(visitor, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(visitor.field("API key")).to_be_focused()


def test_the_focus_stays_while_a_card_is_drawn_anew(visitor: Visitor, driver: Driver) -> None:
    visitor.arrives()
    with driver.without("Persist"):
        visitor.asks_for("Drawn anew under the fingers")
        made = visitor.results.first
        made.get_by_role("link", name="Open", exact=True).focus()
        expect(made.get_by_text("Processing")).to_be_visible()
    expect(made.get_by_text("Succeeded")).to_be_visible()
    expect(made.get_by_role("link", name="Open", exact=True)).to_be_focused()
