"""One embedded cloud and one Chromium for all tests here; each test has a profile of its own."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error, expect, sync_playwright

from local.cloud import EmbeddedCloud
from local.processes import ROOT
from tests.browser.chromium import MISSING, chromium
from tests.browser.visitor import PATIENCE_MS, Visitor
from tests.e2e.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from playwright.sync_api import Browser, BrowserContext

KEPT = ROOT / ".darkroom" / "browser"
"""What is left of a failed test: pictures of its pages, and the trace."""
FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "browser"):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        if os.environ.get("CI"):
            pytest.exit(MISSING, returncode=1)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program)
        yield running
        running.close()


@pytest.fixture(scope="session")
def cloud(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    """Models take no time. Asks for the browser first, so that nothing starts without it."""
    state_dir = tmp_path_factory.mktemp("cloud")
    with EmbeddedCloud(time_scale=0, state_dir=state_dir, local_callbacks=True) as running:
        yield running


@pytest.fixture
def driver(cloud: EmbeddedCloud) -> Iterator[Driver]:
    """Another client and the operator of the cloud; what it makes fail is as before after the
    test."""
    with Driver(cloud) as driver:
        yield driver


@pytest.fixture
def visitors(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Makes a visitor of a cloud's console. Fails the test if something went wrong in a browser
    that the visitor does not expect: a line in the console's log, an error, a dialog, a script of
    somebody else's, a request to elsewhere."""
    made: list[tuple[BrowserContext, Visitor]] = []

    def visitor(base_url: str, token: str, **profile: object) -> Visitor:
        context = browser.new_context(
            **{
                "base_url": base_url,
                "viewport": {"width": 1280, "height": 800},
                "locale": "en-US",
                "timezone_id": "UTC",
                **profile,
            }
        )
        context.set_default_timeout(PATIENCE_MS)
        context.tracing.start(snapshots=True)
        made.append((context, Visitor(context.new_page(), base_url, token)))
        return made[-1][1]

    yield visitor
    troubles = [trouble for _, visitor in made for trouble in visitor.troubles()]
    name = re.sub(r"[^\w-]+", "-", request.node.name)
    for number, (context, visitor) in enumerate(made):
        if troubles or request.node.stash.get(FAILED, False):
            folder = KEPT / f"{name}-{number}"
            with contextlib.suppress(Error):  # the test says what is wrong, not its picture
                visitor.page.screenshot(path=folder / "page.png", full_page=True, timeout=10_000)
            context.tracing.stop(path=folder / "trace.zip")
        context.close()
    assert troubles == []


@pytest.fixture
def visitor(cloud: EmbeddedCloud, visitors: Callable[..., Visitor]) -> Visitor:
    """A visitor with the key of the tenant `local`, at a desk."""
    return visitors(cloud.base_url, cloud.token)
