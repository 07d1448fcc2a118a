"""The one who uses the console, and who knows only what it says and shows."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from playwright.sync_api import Error, expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Dialog, JSHandle, Locator, Page, Request

PATIENCE_MS = 60_000
"""Long, so that only a missing result is a failure, not a busy machine."""
STRUCK = "struck"
"""The global variable that each hostile text of these tests would set if it ran."""


class Visitor:
    """A page of the console in a profile of its own, and all that went wrong there."""

    def __init__(self, page: Page, base_url: str, token: str) -> None:
        self.page = page
        self.base_url = base_url
        self.token = token
        self.requests: list[str] = []
        self._troubles: list[str] = []
        self._expected: list[str] = []
        page.on("console", self._note_line)
        page.on("pageerror", lambda error: self._troubles.append(f"error: {error}"))
        page.on("crash", lambda _: self._troubles.append("the page crashed"))
        page.on("dialog", self._note_dialog)
        page.on("request", self._note_request)

    # -- what went wrong -----------------------------------------------------------------------

    def _note_line(self, line: ConsoleMessage) -> None:
        self._troubles.append(f"{line.type}: {line.text} ({line.location.get('url', '')})")

    def _note_dialog(self, dialog: Dialog) -> None:
        self._troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((f"{self.base_url}/", "blob:", "data:")):
            self._troubles.append(f"request to elsewhere: {request.url}")

    def expects(self, status: int, path: str) -> None:
        """The browser may log that this path, a pattern, is answered so."""
        self._expected.append(rf"error: Failed to load .* status of {status} .*\(.*{path}\)")

    def expects_lost(self, path: str) -> None:
        """The browser may log that a request of this path, a pattern, had no answer."""
        self._expected.append(rf"error: Failed to load .* net::ERR_\w+ \(.*{path}\)")

    def expects_refusals(self) -> None:
        """The browser may log what the page's policy refuses."""
        self._expected.append(r"(?s)error: .*(Content.Security.Policy|'Trusted(HTML|Script)').*")
        self._expected.append(r"request to elsewhere: .*")

    def troubles(self) -> list[str]:
        """What went wrong and was not expected."""
        try:
            struck = self.page.evaluate(f"window.{STRUCK}")
        except Error:  # the page is closed
            struck = None
        found = [*self._troubles, *([f"a script ran: {struck}"] if struck else [])]
        return [
            trouble
            for trouble in found
            if not any(re.fullmatch(pattern, trouble) for pattern in self._expected)
        ]

    # -- what the visitor does -----------------------------------------------------------------

    def opens(self) -> None:
        """Go to the console's address."""
        self.page.goto("/console")

    def signs_in(self, token: str | None = None) -> None:
        """Open the console and sign in by Enter."""
        self.opens()
        field = self.page.get_by_label("API key", exact=True)
        field.fill(self.token if token is None else token)
        field.press("Enter")

    def arrives(self) -> None:
        """Sign in, and wait for the playground."""
        self.signs_in()
        expect(self.generate).to_be_visible()

    def goes_to(self, name: str) -> None:
        """Follow the navigation, by the name of the place."""
        self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()

    def looks_at(self, id_: str, *, heading: str | None = "The same call") -> None:
        """Open the page of a prediction by its address."""
        self.page.goto(f"/console#/predictions/{id_}")
        if heading:
            expect(self.page.get_by_text(id_, exact=True)).to_be_visible()
            self.settles(heading)

    def settles(self, heading: str | None = None) -> None:
        """Wait until the page of this heading has loaded what it shows."""
        if heading:
            found = self.page.get_by_role("heading", name=heading, exact=True)
            expect(found).to_have_count(1)
        expect(self.page.get_by_text(re.compile("^Loading"))).to_have_count(0)

    def scrolls_to(self, number: int) -> None:
        """Scroll a list down until it has so many entries.

        Counts in the page's own way: to find hundreds of entries by their roles takes the page
        longer than to draw them.
        """
        self.page.mouse.move(600, 500)
        count, counted = 0, "document.querySelectorAll('main article').length"
        while count < number:
            self.page.mouse.wheel(0, 20_000)
            self.page.wait_for_function(f"(before) => {counted} > before", arg=count)
            count = self.page.evaluate(counted)

    @property
    def generate(self) -> Locator:
        """The button that makes a picture."""
        return self.page.get_by_role("button", name="Generate", exact=True)

    def field(self, name: str) -> Locator:
        """A field of the form, by its schema's name."""
        return self.page.get_by_label(name, exact=True)

    def _transfer(self, name: str, content: bytes, media_type: str) -> JSHandle:
        return self.page.evaluate_handle(
            """([name, content, type]) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], name, { type }));
                return transfer;
            }""",
            [name, base64.b64encode(content).decode(), media_type],
        )

    def drops(self, target: Locator, name: str, content: bytes, media_type: str) -> None:
        """Drag a file from the desktop over an element and let it go there."""
        expect(target).to_be_enabled()
        transfer = self._transfer(name, content, media_type)
        for event in ("dragenter", "dragover", "drop"):
            target.dispatch_event(event, {"dataTransfer": transfer})

    def pastes(self, name: str, content: bytes, media_type: str) -> None:
        """Paste a file where the focus is."""
        transfer = self._transfer(name, content, media_type)
        transfer.evaluate(
            """(clipboardData) => document.activeElement.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))"""
        )

    def drags_across(
        self, target: Locator, start: tuple[float, float], end: tuple[float, float]
    ) -> None:
        """Move the pressed mouse over an element; points are shares of its width and height."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box
        points = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)
        ]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1], steps=8)
        self.page.mouse.up()

    def chooses(self, model: str) -> None:
        """Pick a model by its name."""
        self.page.get_by_role("button", name="Change model").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Search models").fill(model)
        dialog.get_by_role("button", name=model, exact=True).click()
        expect(self.page.get_by_role("heading", name=model)).to_be_visible()

    def asks_for(self, prompt: str) -> None:
        """Fill the prompt and press Generate."""
        self.field("prompt").fill(prompt)
        self.generate.click()

    def has_chosen(self, name: str) -> None:
        """The form holds a file of this name."""
        expect(self.page.get_by_role("button", name=f"Remove {name}", exact=True)).to_be_visible()

    @property
    def results(self) -> Locator:
        """What was made in this tab, newest first."""
        return self.page.get_by_role("region", name="Results").get_by_role("article")

    def sees_picture(self, picture: Locator) -> None:
        """The picture is there and not a broken one."""
        expect(picture).to_be_visible()
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)
