"""Accessibility as axe-core finds it in a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import npm

if TYPE_CHECKING:
    from playwright.sync_api import Page

PACKAGE, VERSION = "axe-core", "4.14.1"
GRAVE = frozenset({"serious", "critical"})


def source() -> str:
    """Return axe's code, which is installed once."""
    folder = npm.FOLDER / f"{PACKAGE}-{VERSION}"
    npm.install(PACKAGE, VERSION, folder)
    return (folder / "node_modules" / PACKAGE / "axe.min.js").read_text(encoding="utf-8")


def grave_findings(page: Page) -> list[str]:
    """Return the findings of the page as it is that are serious or critical."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(source())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
