"""A newcomer's first quarter of an hour, with nothing but what `make run` prints."""

from __future__ import annotations

import hashlib
import re
import signal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from local.processes import free_port
from tests.e2e.started import Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.browser.visitor import Visitor

PROMPT = "A lighthouse above the sea at dawn"


@pytest.fixture
def printed(browser: Browser, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What `make run` prints until it is ready, by the words before it."""
    run = Started(tmp_path, "--port", str(free_port()))
    lines: list[str] = []
    try:
        assert run.process.stdout
        for line in run.process.stdout:
            lines.append(line)
            if line.startswith("Ready."):
                break
        found = re.findall(r"^  (\w[\w ]*?)  +(\S+)$", "".join(lines), re.MULTILINE)
        yield dict(found)
    finally:
        run.end(signal.SIGTERM)


def test_newcomer_friction_5_the_first_picture(
    printed: dict[str, str], visitors: Callable[..., Visitor], tmp_path: Path
) -> None:
    address = printed["console"]
    visitor = visitors(address.removesuffix("/console"), printed["API token"])
    page = visitor.page
    page.goto(address)
    page.get_by_label("API key").fill(visitor.token)
    page.keyboard.press("Enter")

    # Make a picture.
    page.get_by_label("prompt", exact=True).fill(PROMPT)
    page.get_by_role("button", name="Generate").click()
    made = page.get_by_role("img", name=PROMPT).first
    visitor.sees_picture(made)

    # Find it again.
    visitor.goes_to("Gallery")
    found = page.get_by_role("img", name=PROMPT)
    expect(found).to_have_count(1)
    visitor.sees_picture(found)

    # Look at it large.
    found.click()
    visitor.settles("The same call")
    large = page.get_by_role("main").get_by_role("img", name=PROMPT).first
    visitor.sees_picture(large)
    box = large.bounding_box()
    assert box
    assert box["width"] > 500
    assert large.evaluate("image => image.naturalWidth") == 1024

    # Repeat it with another seed.
    page.get_by_role("button", name="Another seed").click()
    visitor.goes_to("Gallery")
    expect(page.get_by_role("img", name=PROMPT)).to_have_count(2)

    # Upscale it.
    page.get_by_role("img", name=PROMPT).first.click()
    visitor.settles("The same call")
    page.get_by_role("button", name="Upscale").click()
    page.get_by_role("dialog").get_by_role("button", name="Upscale").click()
    upscaled = page.get_by_role("main").get_by_role("img").first
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Succeeded").last).to_be_visible()
    visitor.sees_picture(upscaled)

    # Download it.
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download").first.click()
    path = tmp_path / "downloaded"
    downloading.value.save_as(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    expect(page.get_by_text(digest[:12]).first).to_be_visible()
