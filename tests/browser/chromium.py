"""The Chromium of this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
MISSING = (
    "There is no Chromium on this machine, so the console was not tested. Debian and Ubuntu: "
    "apt-get install chromium fonts-dejavu-core; macOS: brew install --cask chromium; or name the "
    "program: make browser CHROMIUM=/path/to/chrome"
)


def chromium() -> str | None:
    """Return the path of the program; None if it is not found."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    on_path = (shutil.which(name) for name in NAMES)
    apps = (place for place in PLACES if Path(place).exists())
    return next((found for found in (*on_path, *apps) if found), None)
