"""Pictures of every page, for whoever changes how the console looks: `make browser SHOTS=1`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest
from PIL import Image

from local.processes import ROOT
from tests.browser.pages import filled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.cloud import EmbeddedCloud
    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

pytestmark = pytest.mark.skipif(not os.environ.get("SHOTS"), reason="SHOTS=1 makes pictures")

SHOTS = ROOT / ".darkroom" / "browser" / "shots"
DOCS = ROOT / "docs" / "console"
SCREENS = {"desk": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}
MADE = (
    ("black-forest-labs/flux-dev", "Mist over the valley, late autumn"),
    ("black-forest-labs/flux-schnell", "An evening by the fjord"),
    ("black-forest-labs/flux-1.1-pro", "Blue hills behind blue hills"),
    ("stability-ai/sdxl", "Paper lanterns, out of focus"),
    ("bytedance/seedream-4.5", "A lighthouse above the sea at dawn"),
    ("black-forest-labs/flux-schnell", "The first ferry of the day"),
)
MOST_BYTES = 80_000


class Shown(NamedTuple):
    """A picture of the documentation."""

    page: str
    screen: str
    scheme: str


IN_DOCS = {
    Shown("playground-result", "desk", "light"): "playground",
    Shown("gallery", "desk", "dark"): "gallery",
    Shown("prediction", "desk", "light"): "prediction",
    Shown("mask", "desk", "light"): "mask",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_pictures_of_the_pages(
    cloud: EmbeddedCloud,
    driver: Driver,
    visitors: Callable[..., Visitor],
    screen: str,
    scheme: str,
) -> None:
    for model, prompt in MADE:
        driver.run(prompt, model=model)
    visitor = visitors(cloud.base_url, cloud.token, viewport=SCREENS[screen], color_scheme=scheme)
    visitor.expects(404, "/v1/predictions/0+")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(filled(visitor, driver), start=1):
        visitor.page.wait_for_load_state("networkidle")
        path = SHOTS / f"{screen}-{scheme}-{number:02d}-{page}.png"
        visitor.page.screenshot(path=path)
        visitor.page.screenshot(path=path.with_suffix(".full.png"), full_page=True)
        if name := IN_DOCS.get(Shown(page, screen, scheme)):
            _write_small(path, name)


def _write_small(path: Path, name: str) -> None:
    target = DOCS / f"{name}.webp"
    DOCS.mkdir(exist_ok=True)
    with Image.open(path) as picture:
        for quality in range(85, 20, -10):
            picture.convert("RGB").save(target, "WEBP", quality=quality, method=6)
            if target.stat().st_size <= MOST_BYTES:
                return
    raise AssertionError(f"{target} is larger than {MOST_BYTES} bytes")
