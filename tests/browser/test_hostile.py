"""Texts and files of others that would run as code or markup in a careless page.

Each sets the global `struck`, which fails the test, as do a dialog, a request to elsewhere and any
line in the browser's log: what a policy had to stop was already a mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.files import photo

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Route

    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

MARKUP = (
    """"'></textarea></script><img src=x onerror="window.struck='img'">"""
    """<script>window.struck='script'</script><svg onload="window.struck='svg'">"""
)
SCRIPT_URL = "javascript:window.struck='url'"


def looks_everywhere(visitor: Visitor, id_: str) -> None:
    """Open each page, and at last the prediction's own with all that can be unfolded."""
    for place in ("Gallery", "Usage"):
        visitor.goes_to(place)
        visitor.settles(place)
    visitor.page.goto(f"/console#/predictions/{id_}")
    visitor.settles("The same call")
    for summary in visitor.page.get_by_role("main").locator("summary").all():
        summary.click()


def answers_with(visitor: Visitor, id_: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Each answer that shows this prediction is changed so on its way to the page."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for prediction in body.get("results", [body]):
            if prediction.get("id") == id_:
                change(prediction)
        route.fulfill(response=answer, json=body)

    path = re.compile(r"/v1/predictions(/\w{26})?(/wait)?(\?.*)?$")
    visitor.page.route(path, changed)


def test_console_x1_a_prompt(visitor: Visitor) -> None:
    visitor.arrives()
    visitor.asks_for(MARKUP)
    made = visitor.results.first
    expect(made.get_by_text("Succeeded")).to_be_visible()
    expect(made.get_by_text(MARKUP).first).to_be_visible()
    made.get_by_role("link", name="Open", exact=True).click()
    visitor.settles("The same call")
    expect(visitor.page.get_by_role("heading", level=1)).to_contain_text("onerror=")


@pytest.mark.parametrize(
    ("case", "shown"),
    [
        ("X2-model", lambda body: body.update(model=MARKUP)),
        ("X3-tags", lambda body: body.update(tags=[MARKUP, SCRIPT_URL])),
        ("X4-metadata", lambda body: body.update(metadata={MARKUP: SCRIPT_URL, "a": MARKUP})),
        ("X5-error", lambda body: body.update(status="failed", error=MARKUP, output=None)),
        ("X6-logs", lambda body: body.update(logs=MARKUP)),
        ("X7-output-url", lambda body: body.update(output=[SCRIPT_URL])),
        ("X8-output-text", lambda body: body.update(output=MARKUP)),
        (
            "X9-file-key",
            lambda body: body["darkroom"]["files"][0].update(key=f"local/{MARKUP}"),
        ),
        (
            "X10-file-type",
            lambda body: body["darkroom"]["files"][0].update(content_type=f"text/html{MARKUP}"),
        ),
        (
            "X11-thumbnail-url",
            lambda body: body["darkroom"]["files"][0].update(
                thumbnail=SCRIPT_URL, thumbnails={"256": SCRIPT_URL}
            ),
        ),
        ("X12-id", lambda body: body.update(id=MARKUP)),
        ("X13-input", lambda body: body["input"].update({MARKUP: MARKUP, "image": SCRIPT_URL})),
        ("X14-urls", lambda body: body.update(urls=dict.fromkeys(body["urls"], SCRIPT_URL))),
        ("X15-html-data-url", lambda body: body.update(output=["data:text/html,<script>1"])),
        ("X16-numbers", lambda body: body["darkroom"].update(cost=MARKUP, expected_seconds=MARKUP)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_console_what_an_answer_says(
    visitor: Visitor, driver: Driver, case: str, shown: Callable[[dict[str, Any]], object]
) -> None:
    """A provider or another client has put it into a prediction that Darkroom shows."""
    made = driver.run(f"Ordinary, {case}")

    answers_with(visitor, made["id"], shown)
    visitor.arrives()
    looks_everywhere(visitor, made["id"])
    expect(visitor.page.get_by_role("main")).to_be_visible()
    links = visitor.page.locator("a[href], img[src], video[src], iframe, object, embed")
    for link in links.all():
        url = link.get_attribute("href") or link.get_attribute("src") or "other:"
        assert re.match(r"https?://|blob:|/console|#", url), url


def test_console_x17_the_name_of_a_file(visitor: Visitor) -> None:
    visitor.arrives()
    visitor.chooses("black-forest-labs/flux-kontext-pro")
    name = f"{MARKUP.replace('/', '∕')}.png"
    visitor.drops(visitor.field("input_image"), name, photo(), "image/png")
    expect(visitor.page.get_by_text("window.struck").first).to_be_visible()
    visitor.settles()


def test_console_x18_a_picture_in_svg_is_a_download(visitor: Visitor, driver: Driver) -> None:
    """Darkroom stores none; a file that says so all the same is not shown as a picture."""
    made = driver.run("A logo with a script")
    answers_with(
        visitor,
        made["id"],
        lambda body: body["darkroom"]["files"][0].update(content_type="image/svg+xml"),
    )
    visitor.arrives()
    looks_everywhere(visitor, made["id"])
    main = visitor.page.get_by_role("main")
    expect(main.get_by_role("img")).to_have_count(0)
    expect(main.get_by_role("link", name=re.compile(r"svg\+xml"))).to_be_visible()


def test_console_x19_a_callback_url(visitor: Visitor, driver: Driver) -> None:
    made = driver.run("Called back by a stranger")

    def hostile(route: Route) -> None:
        row = {
            "event": MARKUP,
            "state": MARKUP,
            "url": SCRIPT_URL,
            "created_at": MARKUP,
            "next_at": None,
            "attempts": [{"at": MARKUP, "status": MARKUP, "error": MARKUP, "body": MARKUP}],
        }
        route.fulfill(json={"results": [row]})

    visitor.page.route(re.compile("/deliveries"), hostile)
    visitor.arrives()
    looks_everywhere(visitor, made["id"])


@pytest.mark.parametrize(
    "place",
    [
        f"predictions/{MARKUP}",
        "predictions/..%2F..%2Fv1%2Faccount",
        "predictions/%E0%A4%A",
        f"gallery?model={MARKUP}&tag={MARKUP}&status={MARKUP}",
        f"{SCRIPT_URL}",
        "__proto__",
        "constructor/prototype",
    ],
)
def test_console_x20_an_address_that_somebody_sends(visitor: Visitor, place: str) -> None:
    """A link to the console whose hash a stranger wrote."""
    visitor.expects(400, "/v1/.*")
    visitor.expects(404, "/v1/.*")
    visitor.expects(422, "/v1/.*")
    visitor.arrives()
    visitor.page.evaluate("(hash) => { location.hash = hash; }", f"#/{place}")
    visitor.settles()
    expect(visitor.page.get_by_role("main")).to_be_visible()
    for url in visitor.requests:
        assert "/v1/account" not in url or url.endswith("/v1/account")
