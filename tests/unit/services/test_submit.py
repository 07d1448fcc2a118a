"""Submit: rejected requests cost nothing; accepted ones are stored completely."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import (
    InvalidInputError,
    TooLargeError,
    TooManyRequestsError,
    UnavailableError,
)
from darkroom.domain.money import Limits
from darkroom.ports import Answered
from darkroom.services.predictions.submit import NewPrediction

from tests.support.fakes import START
from tests.support.world import PNG, PUBLIC_URL, SCHNELL, World, load_catalogue

if TYPE_CHECKING:
    from darkroom.domain.errors import DarkroomError

SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
OPEN = f"somebody/some-model:{'a' * 64}"
PICTURE = "data:image/png;base64," + base64.b64encode(PNG).decode()
LARGE = "data:;base64," + base64.b64encode(b"x" * 300_000).decode()


def nested(levels: int, leaf: str) -> Any:
    value: Any = leaf
    for _ in range(levels):
        value = [value]
    return value


REFUSED: dict[str, tuple[dict[str, Any], type[DarkroomError]]] = {
    "no prompt": ({"input_": {}}, InvalidInputError),
    "empty prompt": ({"input_": {"prompt": "  "}}, InvalidInputError),
    "wrong type": ({"input_": {"prompt": 3}}, InvalidInputError),
    "out of range": ({"input_": {"prompt": "p", "num_outputs": 5}}, InvalidInputError),
    "not in the list": ({"input_": {"prompt": "p", "aspect_ratio": "7:5"}}, InvalidInputError),
    "NUL": ({"input_": {"prompt": "a\0b"}}, InvalidInputError),
    "NUL in a key": ({"input_": {"prompt": "p", "a\0b": 1}}, InvalidInputError),
    "a secret": ({"input_": {"prompt": "p", "openai_api_key": "sk-1"}}, InvalidInputError),
    "unknown model": ({"reference": "nobody/nothing"}, InvalidInputError),
    "unknown version": ({"reference": f"{SCHNELL}:{'0' * 64}"}, InvalidInputError),
    "open version where models are closed": ({"reference": OPEN}, InvalidInputError),
    "no reference": ({"reference": ""}, InvalidInputError),
    "bad data URI": (
        {"input_": {"prompt": "p", "image": "data:@"}, "reference": SDXL},
        InvalidInputError,
    ),
    "bad base64": ({"input_": {"prompt": "p", "image": "data:;base64,!"}}, InvalidInputError),
    "bad base64 after a large file": (
        {"input_": {"prompt": "p", "a": LARGE, "b": "data:;base64,!"}},
        InvalidInputError,
    ),
    "unknown file": (
        {"input_": {"prompt": "p", "image": f"{PUBLIC_URL}/v1/files/{'a' * 26}"}},
        InvalidInputError,
    ),
    "too large": ({"input_": {"prompt": "p" * 256_001}}, TooLargeError),
    "too large beside its files": (
        {"input_": {"prompt": "p", "a": LARGE, "b": "x" * 256_001}},
        TooLargeError,
    ),
    "a file too deep to be moved": (
        {"input_": {"prompt": "p", "a": nested(9, LARGE)}},
        TooLargeError,
    ),
    "a file under a huge name": (
        {"input_": {"prompt": "p", "n" * 256_001: "data:,x"}},
        TooLargeError,
    ),
    "too many files": ({"input_": {"prompt": "p", "a": ["data:,x"] * 101}}, TooLargeError),
}


@pytest.mark.parametrize(("request_", "error"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_writes_nothing_and_creates_nothing(
    request_: dict[str, Any], error: type[DarkroomError]
) -> None:
    world = World()
    with pytest.raises(error):
        world.accept(**request_)
    assert len(world.store) == 0
    assert world.uploads.objects == {}
    assert world.provider.creates == []


def test_a_refusal_is_in_replicates_words() -> None:
    world = World()
    with pytest.raises(InvalidInputError) as refused:
        world.accept({"prompt": "p", "num_outputs": 0})
    assert str(refused.value) == "- input.num_outputs: Must be greater than or equal to 1\n"
    assert refused.value.fields == [
        ("number_gte", "input.num_outputs", "Must be greater than or equal to 1")
    ]


def test_an_unknown_version_is_refused_as_replicate_refuses_it() -> None:
    world = World()
    with pytest.raises(InvalidInputError) as refused:
        world.accept(reference="nobody/nothing")
    assert refused.value.title == "Invalid version or not permitted"


def test_another_tenants_file_is_an_unknown_one() -> None:
    world = World()
    file = world.files.create("other", "picture", PNG)
    with pytest.raises(InvalidInputError) as refused:
        world.accept({"prompt": "p", "image": file["urls"]["get"]})
    assert refused.value.fields == [("file", "input.image", "File not found")]


def priced(world: World, **request: Any) -> int | None:
    return world.submit.most(NewPrediction(**{"tenant": "acme", **request}))[0]


def test_the_most_is_what_the_create_reserves() -> None:
    world = World()
    references = [f"https://example.com/{number}.png" for number in range(2)]
    asked = {"prompt": "a corgi", "input_images": references}
    name = "black-forest-labs/flux-2-pro"
    most = priced(world, reference=name, input=asked)
    assert most == 15_000 + 15_000 + 2 * 4 * 15_000
    assert (len(world.store), world.provider.creates) == (0, [])
    record = world.accept(asked, reference=name)
    assert record.price is not None
    assert (record.price.most, record.price_base, record.price_tiers) == (most, most - 15_000, ())
    topaz = world.accept({"image": references[0]}, reference="topazlabs/image-upscale")
    assert len(topaz.price_tiers) == 16


def test_a_picture_that_is_at_hand_is_measured() -> None:
    """Files inline, large or small, or uploaded; files that are not pictures count as the
    largest."""
    world = World()
    upload = world.files.create("acme", "picture", PNG)["urls"]["get"]
    name = "black-forest-labs/flux-2-pro"
    wide = PNG.replace(b"\0\0\0\x02", b"\0\0\x04\x01").replace(b"\0\0\0\x03", b"\0\0\x04\0")
    given = [PICTURE, upload, "data:image/png;base64," + base64.b64encode(wide).decode()]
    plain = priced(world, reference=name, input={"prompt": "p", "input_images": given})
    assert plain == 30_000 + (1 + 1 + 2) * 15_000
    large = "data:;base64," + base64.b64encode(PNG + bytes(300_000)).decode()
    for pictures, counted in (([large], 1), ([LARGE], 4), (["data:,x"], 4)):
        asked = {"prompt": "p", "input_images": pictures}
        record = world.accept(asked, reference=name)
        assert record.price_base == 15_000 + counted * 15_000


def test_the_most_of_a_run_by_the_second_follows_its_limit() -> None:
    world = World()
    one = priced(world, reference=SDXL, input={}, cancel_after_s=60)
    assert one == 975 * 70


def test_the_most_of_a_model_without_a_price_is_not_known() -> None:
    world = World(open_models=True)
    world.controls.cache_schema(*OPEN.split(":"), {"components": {"schemas": {"Input": {}}}})
    assert priced(world, reference=OPEN, input={}) is None


def test_a_question_for_the_most_counts_against_the_rate() -> None:
    world = World()
    world.controls.tenants["acme"] = Limits(rate_interval_us=1_000_000, rate_burst=1)
    asked = {"reference": SCHNELL, "input": {"prompt": "a corgi"}, "retry_count": 0}
    assert priced(world, **asked) == 3000
    with pytest.raises(TooManyRequestsError):
        priced(world, **asked)
    assert not world.store.rows


def test_a_file_that_is_unknown_has_no_price() -> None:
    with pytest.raises(InvalidInputError):
        priced(World(), reference=SDXL, input={"image": f"{PUBLIC_URL}/v1/files/{'a' * 26}"})


def test_what_is_written_down() -> None:
    world = World()
    record = world.accept(
        {"prompt": "a corgi", "seed": 5},
        webhook="https://client.test/hook",
        webhook_events=("start",),
        cancel_after_s=60,
    )
    assert len(record.id) == 26
    assert (record.tenant, record.model, record.version) == ("acme", SCHNELL, None)
    assert record.input == {"prompt": "a corgi", "seed": 5}
    assert (record.webhook, record.webhook_events) == ("https://client.test/hook", ("start",))
    assert record.created_at == START
    assert record.deadline == START + 60_000
    assert record.typical_ms == 2000
    assert record.expires_at == START // 1000 + 90 * 86_400


def test_a_seed_is_drawn_where_none_is_given_and_sent_as_it_is_recorded() -> None:
    world = World()
    first, second = world.accept(), world.accept()
    seeds = [record.input["seed"] for record in (first, second)]
    assert len(set(seeds)) == 2
    assert [request["input_"]["seed"] for request in world.provider.creates] == seeds


def test_a_pinned_model_is_created_by_its_version() -> None:
    world = World()
    record = world.accept(reference="stability-ai/sdxl")
    assert record.version == SDXL
    assert world.provider.creates[0]["version"] == SDXL


def test_an_alias_of_a_version_is_mended_with_a_warning() -> None:
    world = World()
    name = "stability-ai/stable-diffusion-inpainting"
    found = load_catalogue().resolve(name)
    assert found is not None
    ((alias, warning),) = found.model.version_aliases.items()
    given = {"prompt": "p", "image": "https://x.test/i.png", "mask": "https://x.test/m.png"}
    accepted = world.submit(NewPrediction("acme", f"{name}:{alias}", given))
    assert accepted.warning == warning
    assert accepted.record.version == found.version


def test_a_name_that_the_model_ignores_is_told_in_a_warning() -> None:
    world = World()
    accepted = world.submit(NewPrediction("acme", SCHNELL, {"prompt": "p", "output": 1}))
    assert accepted.warning == (
        f"{SCHNELL} has no such input and ignores it: output (did you mean num_outputs?)"
    )
    assert "output" in accepted.record.input
    assert world.submit(NewPrediction("acme", SCHNELL, {"prompt": "p"})).warning is None


def test_both_warnings_are_told() -> None:
    world = World()
    name = "stability-ai/stable-diffusion-inpainting"
    found = load_catalogue().resolve(name)
    assert found is not None
    ((alias, warning),) = found.model.version_aliases.items()
    given = {"image": "https://x.test/i.png", "mask": "https://x.test/m.png", "mode": 1}
    accepted = world.submit(NewPrediction("acme", f"{name}:{alias}", given))
    assert accepted.warning is not None
    assert accepted.warning.startswith(f"{warning}. {name} has no such input")


def test_a_strict_stage_refuses_it() -> None:
    world = World()
    world.submit = replace(world.submit, strict=True)
    with pytest.raises(InvalidInputError) as refused:
        world.accept({"prompt": "p", "output": 1, "num_outputs": 9})
    assert str(refused.value) == (
        "- input.num_outputs: Must be less than or equal to 4\n"
        "- input: Additional property output is not allowed (did you mean num_outputs?)\n"
    )
    assert len(world.store) == 0
    assert world.accept({"prompt": "p", "num_outputs": 2}).provider_id


def test_a_strict_stage_tells_of_twenty_problems_at_most() -> None:
    world = World()
    world.submit = replace(world.submit, strict=True)
    with pytest.raises(InvalidInputError) as refused:
        world.accept({"prompt": 1, **{f"n{number}": 1 for number in range(30)}})
    assert len(refused.value.fields) == 20


def test_a_models_own_seed_is_neither_drawn_nor_sent() -> None:
    world = World(open_models=True)
    seed = {"type": "integer", "default": 1337}
    world.provider.schemas[OPEN] = schema(text={"type": "string"}, seed=seed)
    record = world.accept({"text": "hello"}, reference=OPEN)
    assert record.input == world.provider.creates[0]["input_"] == {"text": "hello"}


def test_a_models_own_deadline_counts_where_the_client_sets_none() -> None:
    world = World()
    found = world.submit.find_model.catalogue().resolve(SCHNELL)
    assert found is not None
    slow = replace(found, model=replace(found.model, deadline_seconds=300))

    class Slow:
        def resolve(self, reference: str) -> Any:
            return slow

    finding = replace(world.submit.find_model, catalogue=Slow)  # type: ignore[arg-type]
    world.submit = replace(world.submit, find_model=finding)
    assert world.accept().deadline == START + 300_000
    assert world.accept(cancel_after_s=10).deadline == START + 10_000


# Files


def test_a_small_file_stays_in_the_record() -> None:
    world = World()
    record = world.accept({"prompt": "p", "image": PICTURE})
    assert record.uploads == {}
    assert world.provider.creates[0]["input_"]["image"] == PICTURE


def test_text_that_only_begins_like_a_file_is_text() -> None:
    world = World()
    record = world.accept({"prompt": "data: flow, painted in oil"})
    assert record.input["prompt"] == "data: flow, painted in oil"


def test_a_large_file_moves_to_the_uploads_and_is_signed_for_each_create() -> None:
    world = World()
    world.provider.answers = ["refuse", None]
    given = {"prompt": "p", "a": {"b/c~": [LARGE, "x"]}, "picture": PICTURE}
    record = world.accept(given)
    here = f"acme/inputs/{record.id}"
    keys = {"/a/b~1c~0/0": f"{here}/0", "/picture": f"{here}/1.png"}
    assert record.uploads == keys
    assert world.uploads.objects[keys["/a/b~1c~0/0"]][0] == b"x" * 300_000
    heads = {pointer: world.uploads.head(key) for pointer, key in keys.items()}
    assert {p: head and head["content_type"] for p, head in heads.items()} == {
        "/a/b~1c~0/0": "application/octet-stream",
        "/picture": "image/png",
    }
    world.clock.advance(60)
    assert world.dispatch.create_upstream(record.id)
    for request in world.provider.creates:
        sent = request["input_"]
        assert sent["a"] == {"b/c~": [f"https://uploads.test/{keys['/a/b~1c~0/0']}?signed", "x"]}
        assert sent["picture"] == f"https://uploads.test/{keys['/picture']}?signed"
    assert world.shown(record)["input"] == world.provider.creates[0]["input_"]


def test_a_file_by_reference_is_copied_for_its_record_and_signed() -> None:
    world = World()
    file = world.files.create("acme", "picture", PNG)
    record = world.accept({"prompt": "p", "image": file["urls"]["get"]})
    key = f"acme/inputs/{record.id}/0.png"
    assert record.uploads == {"/image": key}
    assert list(world.uploads.objects) == [f"acme/files/{file['id']}", key]
    assert world.provider.creates[0]["input_"]["image"] == f"https://uploads.test/{key}?signed"
    world.files.delete("acme", file["id"])
    assert world.uploads.objects[key][0] == PNG


def test_a_hundred_files_in_a_large_input_are_taken() -> None:
    world = World()
    record = world.accept({"prompt": "p", "a": [LARGE, *["data:,x"] * 99]})
    assert len(record.uploads) == 100


# Open models


@pytest.mark.parametrize("properties", [None, 7, [], {}])
def test_an_open_models_properties_may_be_anything(properties: object) -> None:
    world = World(open_models=True)
    world.provider.schemas[OPEN] = {
        "components": {"schemas": {"Input": {"properties": properties}}}
    }
    assert world.accept({"text": "hello", "seed": 7}, reference=OPEN).provider_id


def schema(**properties: Any) -> dict[str, Any]:
    wanted = {"type": "object", "required": ["text"], "properties": properties}
    return {"components": {"schemas": {"Input": wanted, "Output": {"type": "string"}}}}


def test_an_open_models_schema_is_fetched_once_and_checked() -> None:
    world = World(open_models=True)
    world.provider.schemas[OPEN] = schema(text={"type": "string"}, seed={"type": "integer"})
    record = world.accept({"text": "hello"}, reference=OPEN)
    assert (record.model, record.version) == tuple(OPEN.split(":"))
    assert "seed" in record.input
    assert record.typical_ms == 30_000
    world.accept({"text": "hello"}, reference=OPEN)
    with pytest.raises(InvalidInputError):
        world.accept({"text": 3}, reference=OPEN)
    assert world.provider.reads == ["schema"]


@pytest.mark.parametrize(
    "reference", [OPEN, "somebody/some-model", f"Some Body/x:{'a' * 64}", "a" * 64, "x:y"]
)
def test_an_open_model_that_the_provider_does_not_know_is_refused(reference: str) -> None:
    world = World(open_models=True)
    with pytest.raises(InvalidInputError):
        world.accept({"text": "hello"}, reference=reference)
    assert len(world.store) == 0


@pytest.mark.parametrize(
    "reference",
    [f"no-such/model:{'a' * 64}", f"no-such/model:{SDXL}", f"{SCHNELL}:{SDXL}"],
    ids=["an open model's", "the catalogue's", "another entry's"],
)
def test_a_version_under_another_models_name_is_refused(reference: str) -> None:
    world = World(open_models=True)
    world.provider.schemas[OPEN] = schema(text={"type": "string"})
    world.accept({"text": "hello"}, reference=OPEN)
    before = len(world.store)
    with pytest.raises(InvalidInputError) as refused:
        world.accept({"text": "hello", "prompt": "p"}, reference=reference)
    assert refused.value.title == "Invalid version or not permitted"
    assert len(world.store) == before


def test_a_version_of_the_catalogue_under_another_name_is_not_even_asked_for() -> None:
    """The provider may find the model by the version alone."""
    world = World(open_models=True)
    world.provider.schemas[f"no-such/model:{SDXL}"] = schema()
    with pytest.raises(InvalidInputError):
        world.accept({"prompt": "p"}, reference=f"no-such/model:{SDXL}")
    assert world.provider.reads == []


def test_a_name_that_is_too_long_is_none() -> None:
    world = World(open_models=True)
    with pytest.raises(InvalidInputError):
        world.accept({"text": "hello"}, reference=f"{'a' * 200}/b:{'a' * 64}")
    assert world.provider.reads == []


def test_an_open_models_schema_that_cannot_be_read_now_is_no_refusal_for_good() -> None:
    world = World(open_models=True)
    world.provider.down = True
    with pytest.raises(UnavailableError):
        world.accept({"text": "hello"}, reference=OPEN)
    assert len(world.store) == 0


def test_the_answer_to_a_rejected_create_is_the_failed_prediction() -> None:
    world = World()
    world.provider.answers = [Answered(422, {"detail": "no"})]
    shown = world.shown(world.accept())
    assert shown["status"] == "failed"
    assert shown["darkroom"]["code"] == "rejected"
