"""Prices by input: valid entries, the maximum of an input, and our models' prices."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.catalog import Catalogue
from darkroom.catalog.entry import read
from darkroom.domain.lifecycle import ProviderReported, Stored, advance
from darkroom.domain.model import InvalidModelError, Model
from darkroom.domain.money import terms_of
from darkroom.domain.prediction import File, Prediction, Price
from darkroom.domain.price import picture_usd

from tests.support.fakes import START
from tests.support.records import TIMINGS, accepted, snapshot

CATALOGUE = Catalogue.load()
URL = "https://example.com/fox.png"
MP = 1024 * 1024
PROPERTIES: dict[str, Any] = {
    "quality": {"type": "string", "enum": ["low", "high"], "default": "low"},
    "fast": {"type": "boolean", "default": True},
    "style": {"type": "string"},
    "level": {"type": "integer", "enum": [1, 2]},
    "series": {"type": "string", "enum": ["off", "on"], "default": "off"},
    "max_images": {"type": "integer", "minimum": 1, "maximum": 15, "default": 2},
    "width": {"type": "integer", "maximum": 2000, "default": 1000},
    "height": {"type": "integer", "maximum": 2000, "nullable": True},
    "image": {"type": "array", "items": {"type": "string", "format": "uri"}},
    "other": {"type": "string", "format": "uri"},
    "prompt": {"type": "string"},
    "odd": True,
}
TIERS = {"unit": "image", "usd": {"tiers": [[1_000_000, 0.1], [4_000_000, 0.3]]}}
RUN_AND_AREA = [
    {"unit": "prediction", "usd": 0.015},
    {"unit": "whole_megapixel", "usd": 0.015},
    {"unit": "whole_megapixel_in", "usd": 0.02},
]
IN_AND_OUT: dict[str, Any] = {"pictures": ["image", "other"], "most_pixels": {"in": 4 * MP}}


def model(price: Any, **more: Any) -> Model:
    return read(
        {
            "model": "owner/name",
            "tasks": ["text-to-image"],
            "official": True,
            "input_schema": {"type": "object", "properties": PROPERTIES},
            "output": "array",
            "typical_seconds": 2,
            "price": price,
            **more,
        }
    )


def most(made: Model, given: dict[str, Any]) -> int:
    price, _, _ = terms_of(made, given, 60)
    assert price is not None
    return price.most


# Maximum of an input


def by(name: str, **usd: Any) -> dict[str, Any]:
    return {"unit": "image", "usd": {"by": name, "usd": usd}}


@pytest.mark.parametrize(
    ("price", "given", "wanted"),
    [
        (by("quality", low=0.1, high=0.4), {"quality": "high"}, 400_000),
        (by("quality", low=0.1, high=0.4), {}, 100_000),
        (by("quality", low=0.1, high=0.4), {"quality": None}, 100_000),
        (by("quality", low=0.1, high=0.4), {"quality": "other"}, 400_000),
        (by("quality", low=0.1, high=0.4), {"quality": ["low"]}, 400_000),
        (by("style", plain=0.1, rich=0.4), {}, 400_000),
        (by("style", plain=0.1, **{"*": 0.2}), {}, 200_000),
        (by("fast", true=0.1, false=0.2), {}, 100_000),
        (by("fast", true=0.1, false=0.2), {"fast": False}, 200_000),
        (by("level", **{"1": 0.1, "2": 0.2}), {"level": 1.0}, 100_000),
        (by("level", **{"1": 0.1, "2": 0.2}), {"level": 10**400}, 200_000),
        (
            by("fast", true=0.1, false={"by": "quality", "usd": {"low": 0.2, "high": 0.3}}),
            {"fast": False, "quality": "high"},
            300_000,
        ),
    ],
)
def test_a_table_is_chosen_from_by_an_input(price: Any, given: Any, wanted: int) -> None:
    assert most(model(price), given) == wanted


@pytest.mark.parametrize(
    ("counts", "given", "wanted"),
    [
        ("max_images", {"max_images": 5}, 5),
        ("max_images", {}, 2),
        ({"input": "max_images", "where": {"series": "on"}}, {"max_images": 5}, 1),
        ({"input": "max_images", "where": {"series": "on"}}, {"series": "on"}, 2),
        ({"input": "max_images"}, {"max_images": 4.0}, 4),
        ("max_images", {"max_images": 10**400}, 1_000_000),
        ("max_images", {"max_images": "five"}, 1),
        ("max_images", {"max_images": -5}, 1),
        (None, {"max_images": 5}, 1),
    ],
)
def test_an_entry_says_which_input_counts_the_pictures(
    counts: Any, given: dict[str, Any], wanted: int
) -> None:
    named = {} if counts is None else {"counts": counts}
    assert most(model({"unit": "image", "usd": 1}, **named), given) == wanted * 1_000_000


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, 15_000 + 16 * 15_000),
        ({"image": []}, 15_000 + 16 * 15_000),
        ({"image": [URL, URL], "other": URL}, 15_000 + 16 * 15_000 + 3 * 4 * 20_000),
        ({"image": [[URL], 7, ""]}, 15_000 + 16 * 15_000 + 4 * 20_000),
    ],
)
def test_runs_and_megapixels_are_added(given: dict[str, Any], wanted: int) -> None:
    """A picture counts as 16 megapixels if the entry has no size: 15.3 of 1024 by 1024."""
    assert most(model(RUN_AND_AREA, **IN_AND_OUT), given) == wanted


def test_megapixels_in_are_of_a_million_pixels_unless_whole() -> None:
    price = [{"unit": "megapixel", "usd": 0.01, "most": 2}, {"unit": "megapixel_in", "usd": 0.01}]
    made = model(price, pictures=["other"], most_pixels={"in": 1_500_000})
    assert most(made, {"other": URL}) == 20_000 + 15_000


def test_a_picture_whose_size_is_known_counts_as_large_as_it_is() -> None:
    made = model(RUN_AND_AREA, **IN_AND_OUT)
    given = {"image": [URL, URL], "other": URL}
    _, base, _ = terms_of(made, given, 60, {"/image/1": 2 * MP - 1, "/other": 9 * MP, "/x": 1})
    assert base == 15_000 + (4 + 2 + 4) * 20_000


def test_what_is_known_from_the_input_alone_is_a_price_of_the_run() -> None:
    price = [{"unit": "prediction", "usd": 0.01}, {"unit": "megapixel_in", "usd": 0.01}]
    made = model(price, pictures=["other"], most_pixels={"in": 2_000_000})
    found, base, tiers = terms_of(made, {"other": URL}, 60)
    assert found is not None
    assert (found.unit, found.micro, found.most, base, tiers) == (
        "prediction",
        30_000,
        30_000,
        0,
        (),
    )


@pytest.mark.parametrize(
    ("out", "given", "wanted"),
    [
        (2_000_000, {}, 2),
        ({"of": ["width", "height"]}, {"height": 1000}, 1),
        ({"of": ["width", "height"]}, {"height": None}, 2),
        ({"of": ["width", "height"]}, {"width": 1500, "height": 1500}, 2.25),
        ({"of": ["width", "height"], "step": 64}, {"height": 1000}, 1.048576),
        (
            {"by": "quality", "pixels": {"high": {"of": ["width", "height"]}, "*": 3_000_000}},
            {},
            3,
        ),
    ],
)
def test_how_large_a_picture_gets(out: Any, given: dict[str, Any], wanted: float) -> None:
    made = model({"unit": "megapixel", "usd": 0.01}, most_pixels={"out": out})
    assert most(made, given) == round(wanted * 10_000)


@pytest.mark.parametrize(
    ("out", "wanted"), [(None, 300_000), (1_000_000, 100_000), (1_000_001, 300_000)]
)
def test_a_tier_is_the_one_of_the_largest_picture(out: int | None, wanted: int) -> None:
    most_pixels = {} if out is None else {"out": out}
    found, base, tiers = terms_of(model(TIERS, most_pixels=most_pixels), {}, 60)
    assert found is not None
    assert (found.most, found.micro, base) == (wanted, wanted, 0)
    assert tiers == (1_000_000, 100_000, 4_000_000, 300_000)


def test_the_price_of_one_picture_where_it_is_the_same_for_every_input() -> None:
    assert picture_usd({"unit": "image", "usd": 0.04}) == 0.04
    assert [picture_usd(each) for each in (None, RUN_AND_AREA, TIERS)] == [None, None, None]
    assert picture_usd({"unit": "second", "usd": 1}) is None


# Valid entries


@pytest.mark.parametrize(
    "price",
    [
        [],
        [None],
        [{"unit": "image", "usd": 1}, {"unit": "image", "usd": 2}],
        [{"unit": "image", "usd": 1}, {"unit": "second", "usd": 2}],
        {"unit": "token", "usd": 1},
        {"unit": "image", "usd": True},
        {"unit": "image", "usd": {}},
        {"unit": "image", "usd": {"tiers": []}},
        {"unit": "image", "usd": {"tiers": [[1]]}},
        {"unit": "image", "usd": {"tiers": [[1.5, 1]]}},
        {"unit": "image", "usd": {"tiers": [[1, "1"]]}},
        {"unit": "image", "usd": {"tiers": [[2, 1], [1, 2]]}},
        {"unit": "image", "usd": {"tiers": [[1, 2], [2, 1]]}},
        {"unit": "image", "usd": {"tiers": [[1, 1]], "by": "quality"}},
        {"unit": "second", "usd": {"tiers": [[1, 1]]}},
        by("quality"),
        by("quality", low="0.1"),
        by("quality", medium=0.1),
        by("nothing", low=0.1),
        {"unit": "image", "usd": {"by": ["quality"], "usd": {"low": 1}}},
        {"unit": "image", "usd": {"by": "quality", "pixels": {"low": 1}}},
        {"unit": "image", "usd": {"by": "quality", "usd": [0.1]}},
        {"unit": "megapixel_in", "usd": 1},
    ],
)
def test_a_price_that_cannot_be_reckoned_is_refused(price: Any) -> None:
    with pytest.raises(InvalidModelError, match="price"):
        model(price)


def test_tables_end_somewhere() -> None:
    usd: Any = 0.1
    for _ in range(5):
        usd = {"by": "style", "usd": {"*": usd}}
    with pytest.raises(InvalidModelError, match="at most four in a row"):
        model({"unit": "image", "usd": usd})


@pytest.mark.parametrize(
    "most_pixels",
    [
        {"between": 1},
        {"in": 0},
        {"in": {"of": ["width", "height"]}},
        {"out": "large"},
        {"out": {"of": ["width"]}},
        {"out": {"of": ["width", "prompt"]}},
        {"out": {"of": ["width", "odd"]}},
        {"out": {"of": ["width", 1]}},
        {"out": {"of": "width"}},
        {"out": {"of": ["width", "height"], "step": 0}},
        {"out": {"of": ["width", "height"], "or": 1}},
        {"out": {"by": "quality", "usd": {"low": 1}}},
    ],
)
def test_a_size_that_cannot_be_reckoned_is_refused(most_pixels: Any) -> None:
    with pytest.raises(InvalidModelError, match="most_pixels"):
        model({"unit": "image", "usd": 1}, most_pixels=most_pixels)


@pytest.mark.parametrize(
    "counts",
    [
        "nothing",
        {},
        {"input": "nothing"},
        {"input": "max_images", "where": {"nothing": 1}},
        {"input": "max_images", "where": ["series"]},
        {"input": "max_images", "if": {"series": "on"}},
        {"input": ["max_images"]},
    ],
)
def test_a_count_that_cannot_be_read_is_refused(counts: Any) -> None:
    with pytest.raises(InvalidModelError, match="counts"):
        model({"unit": "image", "usd": 1}, counts=counts)


# Actual cost


def ended(made: Model, given: dict[str, Any], *sizes: tuple[int | None, int | None]) -> Prediction:
    """Return the record of a run that made pictures of these sizes."""
    price, base, tiers = terms_of(made, given, 60)
    record = accepted(price=price, price_base=base, price_tiers=tiers)
    urls = [f"https://replicate.delivery/x/{number}.png" for number in range(len(sizes))]
    said = snapshot("succeeded", output=urls, metrics={"predict_time": 2})
    record = advance(record, ProviderReported(said), START + 1000, TIMINGS) or record
    files = tuple(File("k", "0" * 64, 1, "image/png", *size) for size in sizes)
    record = advance(record, Stored(files), START + 2000, TIMINGS) or record
    assert record.state.terminal
    return record


@pytest.mark.parametrize(
    ("sizes", "cost"),
    [
        ([(1000, 1000)], 100_000),
        ([(1000, 1001)], 300_000),
        ([(10, 10), (2000, 2000)], 400_000),
        ([(None, None)], 300_000),
        ([(9000, 9000)], 300_000),
    ],
)
def test_each_picture_costs_what_its_tier_says(sizes: list[Any], cost: int) -> None:
    record = ended(model(TIERS), {}, *sizes)
    assert (record.cost, record.cost_assumed) == (cost, False)
    assert (record.price, record.price_base, record.price_tiers) == (None, 0, ())


def test_what_is_paid_once_is_added_to_what_was_made() -> None:
    made = model(RUN_AND_AREA, **IN_AND_OUT)
    record = ended(made, {"other": URL}, (1024, 1024), (1025, 1024))
    assert record.cost == 15_000 + 3 * 15_000 + 4 * 20_000


@pytest.mark.parametrize(
    ("price", "cost", "assumed"),
    [(TIERS, 300_000, False), (RUN_AND_AREA, 15_000 + 16 * 15_000, True)],
)
@pytest.mark.parametrize("made", [0, 1])
def test_a_run_that_was_stopped_costs_what_it_had_made(
    price: Any, cost: int, *, assumed: bool, made: int
) -> None:
    found, base, tiers = terms_of(model(price, **IN_AND_OUT), {}, 60)
    record = accepted(price=found, price_base=base, price_tiers=tiers)
    output = [URL] if made else None
    said = ProviderReported(snapshot("canceled", output=output))
    record = advance(record, said, START + 1000, TIMINGS) or record
    assert (record.cost, record.cost_assumed) == ((cost, assumed) if made else (0, False))


def test_a_unit_of_a_later_release_is_settled_by_what_was_made() -> None:
    record = accepted(price=Price("gigapixel", 10_000, 90_000))
    said = ProviderReported(snapshot("succeeded", output=[URL]))
    record = advance(record, said, START + 1000, TIMINGS) or record
    file = File("k", "0" * 64, 1, "image/png", 2000, 1000)
    record = advance(record, Stored((file,)), START + 2000, TIMINGS) or record
    assert (record.cost, record.cost_assumed) == (20_000, False)


def test_a_success_without_a_picture_costs_the_most_of_its_tiers() -> None:
    found, base, tiers = terms_of(model(TIERS), {}, 60)
    record = accepted(price=found, price_base=base, price_tiers=tiers)
    gone = ProviderReported(snapshot("succeeded", output=None, data_removed=True))
    record = advance(record, gone, START + 1000, TIMINGS) or record
    assert (record.cost, record.cost_assumed) == (300_000, True)


# Replicate's prices as read in autumn 2026: by model, input and megapixels made (of 1024 by 1024),
# in dollars. Two of them are exact for any output.

REFERENCES = {"input_images": [URL, URL]}
SERIES = {"sequential_image_generation": "auto", "max_images": 15}
TABLE: list[tuple[str, dict[str, Any], float, float]] = [
    ("851-labs/background-remover", {}, 1, 2 * 0.000225),
    ("black-forest-labs/flux-2-pro", {}, 1, 0.03),
    ("black-forest-labs/flux-2-pro", {"resolution": "4 MP"}, 4, 0.015 + 4 * 0.015),
    ("black-forest-labs/flux-2-pro", {"resolution": "0.5 MP"}, 0.5, 0.03),
    ("black-forest-labs/flux-2-pro", REFERENCES, 1, 0.03 + 2 * 4 * 0.015),
    ("black-forest-labs/flux-2-max", {}, 1, 0.07),
    ("black-forest-labs/flux-2-max", {"resolution": "2 MP"}, 2, 0.04 + 2 * 0.03),
    ("black-forest-labs/flux-2-max", REFERENCES, 1, 0.07 + 2 * 4 * 0.03),
    ("black-forest-labs/flux-2-dev", {}, 1, 0.012),
    ("black-forest-labs/flux-2-dev", {"go_fast": False}, 1, 0.014),
    (
        "black-forest-labs/flux-2-dev",
        {"aspect_ratio": "custom", "width": 1440, "height": 1440},
        1.98,
        0.024,
    ),
    ("black-forest-labs/flux-2-dev", REFERENCES, 1, 0.012 + 2 * 4 * 0.012),
    ("black-forest-labs/flux-2-klein-4b", {}, 1, 0.001),
    ("black-forest-labs/flux-2-klein-4b", {"output_megapixels": "4"}, 4, 0.004),
    ("black-forest-labs/flux-2-klein-4b", {"images": [URL] * 5}, 1, 0.001 + 5 * 4 * 0.001),
    ("black-forest-labs/flux-1.1-pro-ultra", {}, 4, 0.06),
    ("black-forest-labs/flux-fill-dev", {"num_outputs": 1}, 1, 0.05),
    ("black-forest-labs/flux-kontext-pro", {}, 1, 0.04),
    ("black-forest-labs/flux-schnell", {}, 1, 0.003),
    ("bria/eraser", {}, 1, 0.04),
    ("bria/expand-image", {}, 1, 0.04),
    ("bria/remove-background", {}, 1, 0.018),
    ("bytedance/seedream-4.5", {}, 4, 0.04),
    ("bytedance/seedream-5-lite", {}, 4, 0.035),
    ("bytedance/seedream-5-pro", {"size": "1K"}, 1, 0.045),
    ("bytedance/seedream-5-pro", {"size": "2K"}, 4, 0.09),
    ("google/nano-banana-2", {}, 1, 0.067),
    ("google/nano-banana-2", {"resolution": "2K"}, 4, 0.101),
    ("google/nano-banana-2", {"resolution": "4K"}, 16, 0.151),
    ("google/nano-banana-pro", {}, 4, 0.15),
    ("google/nano-banana-pro", {"resolution": "1K"}, 1, 0.15),
    ("google/nano-banana-pro", {"resolution": "4K"}, 16, 0.3),
    ("ideogram-ai/ideogram-v3-turbo", {}, 1, 0.03),
    ("openai/gpt-image-2", {}, 1, 0.128),
    ("openai/gpt-image-2", {"quality": "low"}, 1, 0.012),
    ("openai/gpt-image-2", {"quality": "medium"}, 1, 0.047),
    ("openai/gpt-image-2.5-flare", {}, 1, 0.25),
    ("openai/gpt-image-2.5-flare", {"quality": "xhigh"}, 1, 0.25),
    ("openai/gpt-image-2.5-flare", {"quality": "max"}, 1, 0.5),
    ("prunaai/z-image-turbo", {"width": 1024, "height": 512}, 0.5, 0.0025),
    ("prunaai/z-image-turbo", {}, 1, 0.005),
    ("prunaai/z-image-turbo", {"width": 2048, "height": 1024}, 2, 0.01),
    ("qwen/qwen-image-edit-plus", {"image": [URL]}, 1, 0.03),
    ("recraft-ai/recraft-crisp-upscale", {}, 4, 0.006),
    ("recraft-ai/recraft-v4", {}, 1, 0.04),
    ("topazlabs/image-upscale", {}, 1, 0.08),
    ("topazlabs/image-upscale", {"upscale_factor": "4x"}, 45, 0.16),
    ("topazlabs/image-upscale", {"upscale_factor": "6x"}, 57, 0.24),
    ("topazlabs/image-upscale", {"upscale_factor": "6x"}, 90, 0.32),
    ("topazlabs/image-upscale", {"upscale_factor": "6x"}, 125, 0.4),
    ("topazlabs/image-upscale", {"upscale_factor": "6x"}, 160, 0.48),
    ("topazlabs/image-upscale", {"upscale_factor": "6x"}, 320, 0.88),
    ("topazlabs/image-upscale", {"upscale_factor": "6x"}, 488, 1.36),
    ("tencentarc/gfpgan", {}, 1, 2 * 0.000225),
    ("philz1337x/clarity-upscaler", {}, 1, 2 * 0.00115),
]
BY_FILE = {"topazlabs/image-upscale"}
"""The input does not determine the size of the picture."""


@pytest.mark.parametrize(("name", "given", "made", "dollars"), TABLE)
def test_what_replicate_bills(
    name: str, given: dict[str, Any], made: float, dollars: float
) -> None:
    entry = CATALOGUE.model(name)
    record = ended(entry, given, (1024, round(made * 1024)))
    assert record.cost == round(dollars * 1e6)
    price, _, _ = terms_of(entry, given, 60)
    assert price is not None
    assert price.most >= round(dollars * 1e6)
    if price.unit != "second" and name not in BY_FILE:
        assert price.most == round(dollars * 1e6), "no file decides"


@pytest.mark.parametrize(
    ("name", "given", "number"),
    [
        ("bytedance/seedream-4.5", SERIES, 15),
        ("bytedance/seedream-4.5", {"max_images": 15}, 1),
        ("bytedance/seedream-5-lite", SERIES, 15),
        ("openai/gpt-image-2", {"number_of_images": 10}, 10),
        ("black-forest-labs/flux-fill-dev", {"num_outputs": 4}, 4),
    ],
)
def test_field_f6_every_picture_of_a_series_is_reserved_and_charged(
    name: str, given: dict[str, Any], number: int
) -> None:
    entry = CATALOGUE.model(name)
    price, _, _ = terms_of(entry, given, 60)
    assert price is not None
    assert price.most == number * price.micro
    assert ended(entry, given, *[(1024, 1024)] * number).cost == price.most


def test_every_entry_says_where_it_was_read_and_how_sure_it_is() -> None:
    assert len(CATALOGUE.names()) >= 25
    for name in CATALOGUE.names():
        entry = CATALOGUE.model(name)
        assert entry.sources.keys() == {"schema", "price"}, name
        assert entry.confidence.keys() == {"schema", "price", "seconds"}, name
        assert "low" not in {entry.confidence["schema"], entry.confidence["price"]}, name
        assert (entry.mask is None) is (entry.mask_repaints is None), name


def test_no_entry_takes_a_secret() -> None:
    for name in CATALOGUE.names():
        properties = CATALOGUE.model(name).input_schema["properties"]
        assert not {"openai_api_key", "hf_api_token"} & properties.keys(), name
        assert "password" not in {each.get("format") for each in properties.values()}, name
