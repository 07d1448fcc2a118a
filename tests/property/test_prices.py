"""The provider's bill of an input never exceeds the maximum that was reserved for it.

The bill is the emulator's, which shares no code with the calculation of the maximum. The size of
pictures is calculated here again, from the models' pages.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from darkroom.catalog.entry import read
from darkroom.domain.model import validate_input
from darkroom.domain.money import terms_of
from darkroom.domain.price import SLACK_S
from hypothesis import assume, given
from hypothesis import strategies as st

from emulator.bill import billed
from emulator.models import CATALOGUE, read_model
from emulator.sizes import wanted
from tests.support.examples import one_in
from tests.support.ran import ran

ENTRIES = [json.loads(file.read_text("utf-8")) for file in sorted(CATALOGUE.glob("*--*.json"))]
URL = "https://example.com/a.png"
MP = 1024 * 1024
LIMIT_S = 60.0
ANY_SIZE = 100_000_000

Size = tuple[int, int]


def value(declared: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema of one input approximately allows."""
    found: st.SearchStrategy[Any]
    low, high = declared.get("minimum", -50), declared.get("maximum", 5000)
    match declared.get("type"):
        case _ if "enum" in declared:
            found = st.sampled_from(declared["enum"])
        case "boolean":
            found = st.booleans()
        case "integer":
            found = st.integers(math.ceil(low), math.floor(high))
            found |= found.map(float)
        case "number":
            found = st.floats(low, high)
        case "array":
            item = declared["items"]
            most = declared.get("maxItems", 12)
            found = st.lists(value(item), min_size=declared.get("minItems", 0), max_size=most)
        case _:
            found = st.just(URL)
    return found | st.none() if declared.get("nullable") else found


def inputs(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = schema["properties"]
    needed = [*schema.get("required", ()), *schema.get("anyOf", [{}])[0].get("required", ())]
    return st.fixed_dictionaries(
        {name: value(properties[name]) for name in needed},
        optional={name: value(each) for name, each in properties.items() if name not in needed},
    )


def largest(name: str, values: dict[str, Any]) -> int:
    """Return the maximum pixels of one picture, according to the model's page."""
    if name == "prunaai/z-image-turbo":
        return int(values["width"] * values["height"])
    if name == "topazlabs/image-upscale":
        return 512_000_000
    if not name.startswith("black-forest-labs/flux-2-"):
        return ANY_SIZE
    if values["aspect_ratio"] == "custom":
        side = 1440 if name.endswith("dev") else 2048
        sides = (values.get(key) or side for key in ("width", "height"))
        return math.prod(16 * round(each / 16) for each in sides)
    tier = values.get("resolution") or values.get("output_megapixels") or "1"
    if tier == "match_input_image":
        return 4 * MP
    return round(float(tier.removesuffix(" MP")) * MP)


def number(values: dict[str, Any]) -> int:
    """Return the maximum number of pictures."""
    if values.get("sequential_image_generation") == "auto":
        return int(values["max_images"])
    return int(values.get("num_outputs") or values.get("number_of_images") or 1)


def texts(given: Any) -> int:
    return sum(map(texts, given)) if isinstance(given, list) else int(isinstance(given, str))


@st.composite
def sizes(draw: st.DrawFn, most: int) -> Size:
    """Return a picture with at most that many pixels."""
    width = draw(st.integers(1, most) | st.just(math.isqrt(most)))
    return width, draw(st.integers(1, most // width) | st.just(most // width))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry["model"]))
@one_in(10)
@given(data=st.data())
def test_no_bill_passes_the_most(entry: dict[str, Any], data: st.DataObject) -> None:
    model, upstream = read(entry), read_model(entry)
    asked = data.draw(inputs(model.input_schema))
    assume(not validate_input(model.input_schema, asked))
    values = upstream.with_defaults({k: v for k, v in asked.items() if v is not None})
    made = sizes(largest(entry["model"], values))
    references = sum(texts(values.get(name)) for name in entry.get("pictures", ()))
    of_reference = entry.get("most_pixels", {}).get("in", ANY_SIZE)
    given_sizes = [data.draw(sizes(of_reference)) for _ in range(references)]
    if set(entry["tasks"]) <= {"text-to-image", "image-editing"}:
        # The picture that the emulator would draw, before it is reduced to the entry's limits.
        made |= st.just(wanted(values, given_sizes[0] if given_sizes else None))
    run_s = data.draw(st.floats(0, LIMIT_S + SLACK_S))
    prediction = ran(
        upstream,
        input=asked,
        started=0,
        completed=run_s,
        status=data.draw(st.sampled_from(["succeeded", "failed", "canceled"])),
        pictures=[data.draw(made) for _ in range(number(values))],
        given=given_sizes,
    )
    price, _, _ = terms_of(model, asked, LIMIT_S)
    assert price is not None
    assert billed(prediction) <= price.most / 1e6 + 1e-9
