"""bodies.json and the parameters of the OpenAPI document: as new as their types, and judging alike.

What the types say is checked at run time by domain/checker.py and by code of api/; pydantic, which
made the schemas, is in no function.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from darkroom.api import bodies, queries, requests, waiting
from darkroom.api.http import Request
from darkroom.api.parameters import CreateHeaders, Queries
from darkroom.api.schemas import Status
from darkroom.domain.callback import EVENTS
from darkroom.domain.checker import unseen, validate_body
from darkroom.domain.errors import BadRequestError, DarkroomError
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN = json.loads(requests.BODIES.read_text())
MODELS = {name: getattr(bodies, name) for name in WRITTEN}


def test_the_written_bodies_are_up_to_date() -> None:
    assert requests.BODIES.read_text() == bodies.written(), "run: make openapi"


NOT_CHECKED = {
    ("input", "additionalProperties"): "every name at the top is compared with the schema's",
    ("input.metadata", "propertyNames"): "`ReadCreate` reads it, as a test below shows",
    ("input.metadata", "additionalProperties"): "the same",
    ("input.content_type", "pattern"): "`Files.form` compares it: it has groups",
    ("input.size", "pattern"): "`PictureRequest` reads it: it has groups",
    **{
        (f"input.{name}", word): "`PictureRequest` takes one of two names, and a mask one"
        for name in ("images[]", "mask")
        for word in ("additionalProperties", "minProperties", "maxProperties")
    },
}
"""Words of the schemas that the checker passes over, and why nothing gets through all the same."""


@pytest.mark.parametrize("name", WRITTEN)
def test_the_checker_understands_what_is_written(name: str) -> None:
    assert set(unseen(WRITTEN[name])) <= NOT_CHECKED.keys()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["", "x", "start", "completed", "image/png", "y" * 64, "y" * 65, "y" * 128, "y" * 129]
)
LONG = st.sampled_from([n + one for n in (30, 100, 255, 300, 2048) for one in (0, 1)]).map(
    lambda length: "x" * length
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | TEXTS | LONG
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=9)
    | st.lists(st.sampled_from(["start", "logs"]), max_size=3)
    | st.lists(st.just("tag"), max_size=9)
    | st.dictionaries(TEXTS, SCALARS, max_size=2)
)


def sent(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of which most have what is needed, and some have something of no field."""
    fields = dict.fromkeys([*WRITTEN[name]["properties"], "other"], VALUES)
    whole = dict.fromkeys(WRITTEN[name]["required"], st.just({}) | VALUES)
    if "version" in whole:
        whole["version"] = TEXTS | VALUES
    good = st.fixed_dictionaries(
        whole, optional={k: v for k, v in fields.items() if k not in {"other", *whole}}
    )
    return good | st.fixed_dictionaries({}, optional=fields)


def fits(model: type[BaseModel], value: Any) -> bool:
    try:
        model.model_validate(value)
    except ValidationError:
        return False
    return True


def without_what_the_checker_passes_over(body: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in body.items() if k != "content_type" or not isinstance(v, str)}
    if isinstance(body.get("metadata"), dict):
        kept["metadata"] = {}
    if isinstance(body.get("content_type"), str) and len(body["content_type"]) > 100:
        kept["content_type"] = body["content_type"]
    return kept


@pytest.mark.parametrize("name", WRITTEN)
def test_the_checker_and_pydantic_take_the_same_bodies(name: str) -> None:
    @given(sent(name))
    def same(body: dict[str, Any]) -> None:
        body = without_what_the_checker_passes_over(body)
        assert (validate_body(WRITTEN[name], body) == []) is fits(MODELS[name], body)

    same()


def create(body: dict[str, Any] | None = None, **headers: str) -> object:
    """Read a create with this body and these headers."""
    sent = {"version": "a/b", "input": {}, **(body or {})}
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    request = Request(
        *("", "POST", "/v1/predictions", {}, {}),
        headers={"content-type": "application/json", **named},
        body=json.dumps(sent).encode(),
        received_at=None,
    )
    return requests.ReadCreate()(request, "acme")


def asks(body: dict[str, Any] | None = None, **headers: str) -> bool:
    return reads(lambda: create(body, **headers))


def reads(read: Callable[[], object]) -> bool:
    try:
        read()
    except DarkroomError:
        return False
    return True


@given(st.dictionaries(TEXTS, TEXTS | st.none() | st.integers(), max_size=3))
@example({"a": "\0"})
@example({"a\0": "b"})
@example({"": "a"})
def test_metadata_is_what_its_type_says(metadata: dict[str, Any]) -> None:
    """But for its size as JSON, which no schema can say, and which these do not reach."""
    taken = fits(bodies.RequestedBody, {"input": {}, "metadata": metadata})
    assert asks({"metadata": metadata}) is taken


def says(model: type[BaseModel], name: str, value: object) -> bool:
    """Whether a type takes this as the value of one of its fields, whatever the others are."""
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return all(problem["loc"] != (name,) for problem in error.errors())
    return True


@given(st.text(st.characters(codec="ascii"), max_size=6) | LONG)
@example("a b")
@example(" ")
@example("")
def test_an_idempotency_key_is_what_its_type_says(key: str) -> None:
    assert asks(idempotency_key=key) is says(CreateHeaders, "Idempotency-Key", key)


@given(st.from_regex(r"\A([0-9]{0,3}h)?([0-9]{0,5}m)?([0-9]{0,7}s?)?\Z") | TEXTS)
@example("1440m")
@example("007h")
@example("1000000")
@example("")
def test_a_cancel_after_is_what_its_type_says(text: str) -> None:
    """But for the time that it comes to, which its description says."""
    try:
        asked = create(cancel_after=text)
    except BadRequestError as error:
        asked = "between" in str(error)
    assert bool(asked) is says(CreateHeaders, "Cancel-After", text)


@pytest.mark.parametrize("text", ["reuse", "bypass", "", "Reuse", "redirect", "true", "wait"])
def test_a_choice_is_one_of_its_type(text: str) -> None:
    assert asks(darkroom_cache=text) is says(CreateHeaders, "Darkroom-Cache", text)
    request = Request("", "POST", "/", {}, {"dry_run": text}, {"darkroom-wait": text}, b"", None)
    waits = reads(lambda: requests.goes_to_wait(request))
    assert waits is says(CreateHeaders, "Darkroom-Wait", text)
    assert reads(lambda: requests.is_dry_run(request)) is says(Queries, "dry_run", text)


def test_choices_that_the_domain_has_too_are_the_same() -> None:
    filters = WRITTEN["RequestedBody"]["properties"]["webhook_events_filter"]
    assert filters["items"]["enum"] == list(EVENTS)
    assert get_args(Status) == queries.STATUSES


CHOSEN: dict[str, Callable[[dict[str, str]], object]] = {
    **dict.fromkeys(("source", "status"), queries.wanted),
    **dict.fromkeys(("sort_by", "sort_direction"), queries.descending),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_query_takes_the_choices_of_its_type(name: str) -> None:
    choices = bodies.schema(Queries)["properties"][name]["enum"]
    for text in (*choices, "", "other", choices[0].upper()):
        assert reads(lambda text=text: CHOSEN[name]({name: text})) is says(Queries, name, text)


NUMBERS = {"seconds": waiting.LONGEST_S, "hop": waiting.MOST_HOPS, "revision": waiting.LATEST}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("one", [-1, 0, 1])
def test_a_wait_takes_the_numbers_of_its_type(name: str, one: int) -> None:
    for number in (one, NUMBERS[name] + one):
        taken = reads(lambda number=number: waiting.asked({name: str(number)}))
        assert taken is says(Queries, name, number)


@given(TEXTS | LONG)
def test_what_a_list_is_asked_for_is_what_its_type_says(text: str) -> None:
    """A tag and an end user are also to be printable, which no schema can say."""
    for name in ("tag", "end_user"):
        if reads(lambda name=name: queries.wanted({name: text})):
            assert says(Queries, name, text)
