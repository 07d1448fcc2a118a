"""docs/models.md agrees with the catalogue, and the demo's inputs are valid for their models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from darkroom.catalog import Catalogue
from darkroom.domain.model import Model, validate_input
from PIL import Image

from local.demo import CHOSEN, FIRST
from local.examples import example, mask, passed_on
from local.models_page import MOST_BYTES, PAGE, PICTURES, WIDTH, page, picture_name, price

if TYPE_CHECKING:
    from pathlib import Path

CATALOGUE = Catalogue.load()
MODELS = [CATALOGUE.model(name) for name in CATALOGUE.names()]


def test_the_page_is_what_make_models_would_write() -> None:
    written = PAGE.read_text("utf-8")
    assert page(written, CATALOGUE) == written, "stale: run `make models`"


def test_every_model_has_a_small_picture() -> None:
    files = {path.name: path for path in PICTURES.iterdir()}
    assert files.keys() == {picture_name(model) for model in MODELS}, "run `make models`"
    for path in files.values():
        assert path.stat().st_size <= MOST_BYTES, path
        with Image.open(path) as picture:
            assert (picture.format, picture.width) == ("WEBP", WIDTH)


def test_what_stands_around_the_made_part_is_kept(tmp_path: Path) -> None:
    made = page(PAGE.read_text("utf-8"), CATALOGUE)
    changed = page("a guide\n" + made + "an end\n", Catalogue.load(tmp_path))
    assert changed.startswith("a guide\n")
    assert changed.endswith("an end\n")
    assert "####" not in changed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"unit": "image", "usd": 0.3}, "$0.30 a picture"),
        ({"unit": "second", "usd": 0.000225}, "$0.000225 a second of the run"),
        (
            [{"unit": "prediction", "usd": 0.015}, {"unit": "whole_megapixel", "usd": 1}],
            "$0.015 a run; plus $1.00 a megapixel made",
        ),
        (
            {"unit": "image", "usd": {"by": "size", "usd": {"S": 0.1, "M": 0.1, "*": 0.25}}},
            "a picture by `size`: S or M (the default) $0.10, any other $0.25",
        ),
        (
            {"unit": "image", "usd": {"tiers": [[24_000_000, 0.08], [48_000_000, 0.16]]}},
            "a picture by its megapixels: $0.08 up to 24, $0.16 up to 48",
        ),
        (
            {
                "unit": "image",
                "usd": {"by": "size", "usd": {"S": 0.1, "M": {"by": "raw", "usd": {"true": 2}}}},
            },
            "a picture by `size`: S $0.10, M (the default) (by `raw`: true $2.00)",
        ),
    ],
)
def test_a_price_in_words(given: object, words: str) -> None:
    schema = {"properties": {"size": {"type": "string", "default": "M"}, "raw": {}}}
    entry = {
        "model": "acme/portrait",
        "tasks": ["text-to-image"],
        "official": True,
        "input_schema": schema,
        "output": "string",
        "typical_seconds": 1,
        "price": given,
    }
    assert price(Model.from_dict(entry)) == words


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.model)
def test_an_example_is_a_valid_input_of_known_names(model: Model) -> None:
    given = passed_on(example(model), lambda _: "https://example.com/a.png")
    assert validate_input(model.input_schema, given) == []
    assert given.keys() <= model.input_schema["properties"].keys()


def test_an_example_s_mask_has_the_model_s_polarity() -> None:
    white, black = (mask((90, 60), repaints=colour) for colour in ("white", "black"))
    assert (white.getpixel((45, 30)), white.getpixel((1, 1))) == (255, 0)
    assert (black.getpixel((45, 30)), black.getpixel((1, 1))) == (0, 255)


def test_the_demo_s_dozen_is_in_the_catalogue() -> None:
    assert len(set(CHOSEN)) == 12
    assert {*CHOSEN, FIRST} <= set(CATALOGUE.names())
    assert len({model.model.rpartition("/")[2] for model in MODELS}) == len(MODELS)
