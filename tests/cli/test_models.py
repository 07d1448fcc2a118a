"""Values by a model's schema, and models by name or task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from darkroom_cli.errors import RefusedError, UsageError
from darkroom_cli.models import (
    ValueProblem,
    dollars,
    for_task,
    given_values,
    model,
    models,
    money,
    price,
)

from tests.cli import fake
from tests.cli.fake import NAME, Deployment


def made(deployment: Deployment, *pairs: str) -> dict[str, object]:
    found = model(deployment.service(), NAME)
    split = [(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]
    return given_values(found, split, lambda path: f"uploaded {path}")


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("steps=30", 30),
        ("strength=0.5", 0.5),
        ("strength=1.0", 1),
        ("size=m", "m"),
        ("fast=yes", True),
        ("fast=False", False),
        ("prompt=30", "30"),
        ("prompt=@someone", "@someone"),
        ("prompt= two  spaces ", " two  spaces "),
        ("prompt=a=b", "a=b"),
        ("image=@photo.png", "uploaded photo.png"),
        ("image=https://x.example/a.png", "https://x.example/a.png"),
        ("references=@a.png", ["uploaded a.png"]),
        ('references=["https://x.example/a.png"]', ["https://x.example/a.png"]),
        ('extra={"a": [1]}', {"a": [1]}),
    ],
)
def test_a_value_has_the_schemas_type(deployment: Deployment, pair: str, value: object) -> None:
    ((_, found),) = made(deployment, pair).items()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        ("steps=many", "steps is a whole number"),
        ("steps=3.5", "steps is a whole number"),
        ("steps=0", "steps is 1 or more"),
        ("steps=51", "steps is 50 or less"),
        ("strength=nan", "strength is a number"),
        ("strength=x", "strength is a number"),
        ("size=xl", "size is one of s, m, l"),
        ("fast=maybe", "fast is true or false"),
        ("references=[1", "references is not JSON"),
        ("extra=5", "extra is a JSON object"),
        ("extra=[NaN]", "extra is not JSON"),
        ("step=5", r"step is no input of acme/painter; steps is"),
        ("zzz=5", "zzz is no input of acme/painter"),
    ],
)
def test_a_wrong_value_is_named(deployment: Deployment, pair: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        made(deployment, pair)


def test_a_name_given_twice_makes_a_list_or_is_wrong(deployment: Deployment) -> None:
    found = made(deployment, "references=@a.png", "references=https://x.example/b.png")
    assert found == {"references": ["uploaded a.png", "https://x.example/b.png"]}
    with pytest.raises(UsageError, match="given twice"):
        made(deployment, "steps=1", "steps=2")


def test_null_is_for_what_may_be_null(deployment: Deployment) -> None:
    found = model(deployment.service(), NAME)
    found.find("image").check(None)
    with pytest.raises(ValueProblem):
        found.find("steps").check(None)
    with pytest.raises(ValueProblem):
        found.find("steps").check(True)


def test_a_model_by_its_name_alone(deployment: Deployment) -> None:
    service = deployment.service()
    assert model(service, "painter").reference == NAME
    deployment.models.append(fake.model("other/painter"))
    with pytest.raises(UsageError, match="acme/painter, other/painter"):
        model(service, "painter")


def test_an_alias_is_left_to_the_service(deployment: Deployment) -> None:
    for reference in ("our-best", "ours/best", f"{NAME}:{'0' * 64}"):
        found = model(deployment.service(), reference)
        assert (found.reference, found.inputs) == (reference, None)
        given = given_values(
            found, [("n", "3"), ("text", "a b"), ("image", "@x")], lambda path: f"at {path}"
        )
        assert given == {"n": 3, "text": "a b", "image": "at x"}
        assert found.missing({}) == []


def test_a_key_that_is_not_valid_is_no_alias(deployment: Deployment) -> None:
    deployment.answers.append(fake.problem(401, "No valid API key was given."))
    with pytest.raises(RefusedError, match="darkroom login"):
        model(deployment.service(), NAME)


def test_a_version_has_a_schema_of_its_own(deployment: Deployment) -> None:
    schema = {"components": {"schemas": {"Input": {"properties": {"n": {"type": "integer"}}}}}}
    deployment.answers += [
        httpx.Response(200, json=fake.model()),
        httpx.Response(200, json={"openapi_schema": schema}),
    ]
    found = model(deployment.service(), f"{NAME}:{'0' * 64}")
    assert [one.name for one in found.inputs or ()] == ["n"]


@pytest.mark.parametrize(
    "schema",
    [None, [], {"components": None}, {"components": {"schemas": {"Input": {"properties": []}}}}],
)
def test_a_schema_that_cannot_be_read_leaves_the_check_to_the_service(
    deployment: Deployment, schema: Any
) -> None:
    deployment.models[0]["latest_version"] = {"openapi_schema": schema}
    assert model(deployment.service(), NAME).inputs is None


def test_a_model_for_a_task(deployment: Deployment) -> None:
    service = deployment.service()
    with pytest.raises(UsageError, match="no model for upscaling"):
        for_task(service, "upscaling")
    deployment.models += [
        fake.model("acme/old", ("upscaling",)),
        fake.model("acme/enlarger", ("upscaling",)),
        fake.model("nightmareai/real-esrgan", ("upscaling",)),
    ]
    deployment.models[1]["darkroom"]["status"] = {"state": "deprecated"}
    assert for_task(service, "upscaling").reference == "nightmareai/real-esrgan"
    del deployment.models[-1]
    assert for_task(service, "upscaling").reference == "acme/enlarger"


def test_the_picture_and_the_mask_are_found_by_the_schema(deployment: Deployment) -> None:
    (found,) = models(deployment.service())
    assert (found.picture().name, found.picture(mask=True).name) == ("image", "mask")
    with pytest.raises(UsageError, match="not known here"):
        model(deployment.service(), "alias").picture()
    taking = tuple(one for one in found.inputs or () if one.name != "mask")
    with pytest.raises(UsageError, match="takes no mask"):
        replace(found, inputs=taking).picture(mask=True)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"unit": "image", "usd": 0.04}, "$0.04 / picture"),
        ({"unit": "second", "usd": 0.000225}, "$0.000225 / second"),
        (
            [{"unit": "megapixel", "usd": 0.015}, {"unit": "prediction", "usd": 1}],
            "$0.015 / megapixel + $1.00 / run",
        ),
        (
            {"unit": "image", "usd": {"by": "quality", "usd": {"low": 0.01, "*": 0.2}}},
            "$0.01 to $0.20 by quality / picture",
        ),
        (
            {"unit": "image", "usd": {"tiers": [[1000000, 0.05], [4000000, 0.08]]}},
            "$0.05 to $0.08 by size / picture",
        ),
        (None, "unknown"),
        ("nonsense", "unknown"),
        ({"unit": "\x1b", "usd": None}, r"unknown / \x1b"),
    ],
)
def test_a_price_is_told_in_words(said: object, text: str) -> None:
    assert price({"price": said}) == text


def test_what_an_input_allows_is_told(deployment: Deployment) -> None:
    found = model(deployment.service(), NAME)
    told = {one.name: one.allowed() for one in found.inputs or () if one.allowed()}
    assert told == {"steps": "1 to 50", "strength": "0 to 1", "size": "s, m, l"}
    least = replace(found.find("steps"), described={"minimum": 2})
    most = replace(found.find("steps"), described={"maximum": 2.5})
    assert [least.allowed(), most.allowed()] == ["2 or more", "2.5 or less"]


def test_amounts() -> None:
    assert [dollars(0), dollars(12), dollars(0.1234567)] == ["$0.00", "$12.00", "$0.123457"]
    assert [money(None), money(1)] == ["", "$1.00"]
