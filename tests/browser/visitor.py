"""The one who uses the console, and who knows only what it says and shows."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from playwright.sync_api import Error, expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Dialog, Locator, Page, Request

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

    @property
    def generate(self) -> Locator:
        """The button that makes a picture."""
        return self.page.get_by_role("button", name="Generate", exact=True)

    def field(self, name: str) -> Locator:
        """A field of the form, by its schema's name."""
        return self.page.get_by_label(name, exact=True)

    def drops(self, target: Locator, name: str, content: bytes, media_type: str) -> None:
        """Drag a file from the desktop over an element and let it go there."""
        transfer = self.page.evaluate_handle(
            """([name, content, type]) => {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], name, { type }));
                return transfer;
            }""",
            [name, base64.b64encode(content).decode(), media_type],
        )
        for event in ("dragenter", "dragover", "drop"):
            target.dispatch_event(event, {"dataTransfer": transfer})
