"""What these tests would not see, they could not find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.axe import grave_findings
from tests.browser.processor_time import watched
from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BUSY = "const end = performance.now() + 300; while (performance.now() < end);"


def test_what_goes_wrong_in_a_browser_is_noted(browser: Browser) -> None:
    page = browser.new_page()
    visitor = Visitor(page, "http://127.0.0.1:1", "")
    page.set_content(
        """<img src="http://127.0.0.2:1/elsewhere.png" onerror="window.struck = 'the picture'">
        <script>console.warn('a line'); alert('a dialog'); throw new Error('an error')</script>"""
    )
    page.wait_for_function("window.struck")
    noted = "\n".join(visitor.troubles())
    for trouble in (
        "warning: a line",
        "dialog: a dialog",
        "error: an error",
        "request to elsewhere: http://127.0.0.2:1/elsewhere.png",
        "a script ran: the picture",
    ):
        assert trouble in noted
    page.close()


def test_a_page_without_names_and_contrast_is_found(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<main><button></button><p style='color: #ddd'>pale</p></main>")
    found = "\n".join(grave_findings(page))
    assert "button-name" in found
    assert "color-contrast" in found
    page.close()


def test_a_long_task_is_measured(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<button>Go</button>")
    with watched(browser, page) as idle:
        page.get_by_role("button").hover()
    page.get_by_role("button").evaluate(f"button => button.onclick = () => {{ {BUSY} }}")
    with watched(browser, page) as busy:
        page.get_by_role("button").click()
    assert idle.longest_first
    # Other programs have their share of the wall clock's 300.
    assert busy.longest_first[0] > 50 > idle.longest_first[0]
    page.close()
