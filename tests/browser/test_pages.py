"""What holds of every page: access, width, pace, and where things come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_findings
from tests.browser.files import photo
from tests.browser.pages import filled
from tests.browser.processor_time import watched
from tests.browser.visitor import Visitor
from tests.e2e.copies import tenant_of_copies

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Response

    from local.cloud import EmbeddedCloud
    from tests.e2e.driver import Driver

PHONE = {"width": 390, "height": 844}
LONGEST_MS = 200 / 4
"""A task of 200 ms at four times throttling takes a quarter of it without."""

TOO_WIDE = """() => {
    const wide = [];
    const clips = (element) => {
        for (let one = element.parentElement; one; one = one.parentElement) {
            if (getComputedStyle(one).overflowX !== "visible") return true;
        }
        return false;
    };
    for (const element of document.body.querySelectorAll("*")) {
        const box = element.getBoundingClientRect();
        if (box.width && box.right > innerWidth + 1 && !clips(element)) {
            wide.push(`${element.tagName} ${element.className} ${Math.round(box.right)}`);
        }
    }
    const scrolls = document.documentElement.scrollWidth - innerWidth;
    return scrolls > 0 ? [`the page: ${scrolls} px`, ...wide] : wide;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_grave_findings_of_access(
    cloud: EmbeddedCloud, driver: Driver, visitors: Callable[..., Visitor], scheme: str
) -> None:
    visitor = visitors(cloud.base_url, cloud.token, color_scheme=scheme)
    visitor.expects(404, "/v1/predictions/0+")
    found = {}
    for name in filled(visitor, driver):
        if findings := grave_findings(visitor.page):
            found[name] = findings
    assert found == {}


def test_no_page_scrolls_sideways_on_a_phone(
    cloud: EmbeddedCloud, driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor = visitors(cloud.base_url, cloud.token, viewport=PHONE, has_touch=True)
    visitor.expects(404, "/v1/predictions/0+")
    found = {}
    for name in filled(visitor, driver):
        if wide := visitor.page.evaluate(TOO_WIDE):
            found[name] = wide
    assert found == {}


def test_what_is_pressed_is_large_enough_for_a_finger(
    cloud: EmbeddedCloud, driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor = visitors(cloud.base_url, cloud.token, viewport=PHONE, has_touch=True)
    visitor.expects(404, "/v1/predictions/0+")
    small = {}
    for name in filled(visitor, driver):
        found = visitor.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, a.button, nav a")]
                .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect(), one])
                .filter(([, box, one]) => box.width && one.checkVisibility()
                    && !["checkbox", "radio", "range"].includes(one.type)
                    && Math.min(box.width, box.height) < 24)
                .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)
            """
        )
        if found:
            small[name] = found
    assert small == {}


def test_no_task_is_long(cloud: EmbeddedCloud, browser: Browser, driver: Driver) -> None:
    """Of the main thread: drawing 300 pictures, and typing, and painting a mask."""
    made = driver.run("One of three hundred")
    token = tenant_of_copies(cloud, made["id"], 300, tenant="long-tasks")
    context = browser.new_context(base_url=cloud.base_url)
    visitor = Visitor(context.new_page(), cloud.base_url, token)
    with watched(browser, visitor.page) as tasks:
        visitor.arrives()
        visitor.chooses("black-forest-labs/flux-fill-dev")
        visitor.drops(visitor.field("image"), "wall.png", photo((1600, 1200)), "image/png")
        visitor.page.get_by_role("button", name="Paint mask").click()
        canvas = visitor.page.get_by_role("dialog").get_by_role("img", name=re.compile("Mask"))
        visitor.drags_across(canvas, (0.2, 0.2), (0.8, 0.8))
        visitor.page.get_by_role("button", name="Use mask").click()
        visitor.field("prompt").press_sequentially("A window to the sea, wide open")
        visitor.goes_to("Gallery")
        visitor.scrolls_to(300)
        visitor.goes_to("Usage")
        visitor.settles("Usage")
    context.close()
    assert len(tasks.longest_first) > 100
    assert tasks.longest_first[0] < LONGEST_MS, tasks.longest_first[:5]


@pytest.mark.parametrize("path", ["/console", "/console/app.js", "/console/style.css"])
def test_nothing_but_the_console_itself_may_run_or_frame_it(
    cloud: EmbeddedCloud, path: str
) -> None:
    answer = httpx.get(cloud.base_url + path, trust_env=False, timeout=60)
    assert answer.status_code == 200
    policy = {
        name: values.split()
        for name, _, values in (
            part.strip().partition(" ")
            for part in answer.headers["content-security-policy"].split(";")
        )
    }
    assert "unsafe-" not in answer.headers["content-security-policy"]
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["form-action"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert "*" not in {source for sources in policy.values() for source in sources}
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


def test_a_script_that_found_its_way_in_would_not_run(visitor: Visitor) -> None:
    """The policy, tried in earnest: what it refuses is in the browser's log."""
    visitor.expects_refusals()
    visitor.arrives()
    tried = visitor.page.evaluate(
        """async () => {
            const script = document.createElement("script");
            try { script.text = "window.ran = 1"; } catch {}
            document.head.append(script);
            try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='ran=1'>"); }
            catch {}
            const style = document.createElement("style");
            style.textContent = "body { display: none }";
            document.head.append(style);
            const away = await fetch("http://127.0.0.2:1/").then(() => "sent", () => "refused");
            return [window.ran, getComputedStyle(document.body).display !== "none", away];
        }"""
    )
    assert tried == [None, True, "refused"]


def test_a_page_of_somebody_else_can_not_frame_it(cloud: EmbeddedCloud, browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(f'<iframe src="{cloud.base_url}/console"></iframe>')
    frame = page.frames[-1]
    expect(frame.get_by_label("API key")).to_have_count(0)
    page.close()


def test_answers_with_data_are_in_no_cache(visitor: Visitor, driver: Driver) -> None:
    made = driver.run("Not to be kept")
    kept: list[str] = []

    def note(response: Response) -> None:
        # The redirect to a thumbnail is one visitor's, and may be kept while its token lives.
        allowed = "private, max-age=" if "/thumbnail/" in response.url else "no-store"
        if "/v1/" in response.url and allowed not in response.headers.get("cache-control", ""):
            kept.append(f"{response.url} {response.headers.get('cache-control')}")

    visitor.page.on("response", note)
    visitor.arrives()
    for place in ("Gallery", "Usage"):
        visitor.goes_to(place)
        visitor.settles(place)
    visitor.looks_at(made["id"])
    assert kept == []
