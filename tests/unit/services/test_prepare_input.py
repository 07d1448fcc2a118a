"""Files in inputs: how they are recognized, where they are stored, and their URLs for a model."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import InvalidInputError

from tests.support.world import PNG, PUBLIC_URL, World

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
OPEN = f"somebody/some-model:{'a' * 64}"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(20)
LARGE = "x" * 300_000
FILE = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}


def accept(world: World, image: str, **request: Any) -> Prediction:
    return world.accept({"prompt": "p", "image": image}, reference=SDXL, **request)


def sent(world: World) -> dict[str, Any]:
    """Return the provider's last received input."""
    given: dict[str, Any] = world.provider.creates[-1]["input_"]
    return given


def made(world: World) -> Prediction:
    """Return a prediction whose only output is in the bucket."""
    record = world.accept({"prompt": "a first picture", "seed": 3})
    assert record.provider_id
    world.succeed(record.provider_id)
    world.webhook(record.id, record.provider_id)
    world.settle()
    return world.record(record.id)


# Names


@pytest.mark.parametrize(
    ("name", "data", "declared", "extension"),
    [
        ("photo.png", JPEG, "image/png", ".jpg"),
        ("photo", PNG, None, ".png"),
        ("x.dat", b"II*\0....", "image/tiff", ".tiff"),
        ("x.dat", b"<svg/>", "image/svg+xml; charset=utf-8", ".svg"),
        ("x.dat", b"{}", "APPLICATION/JSON", ".json"),
        ("weights.SafeTensors", b"....", "application/octet-stream", ".safetensors"),
        ("weights.ckpt", b"....", "application/octet-stream", ".ckpt"),
        ("scan.psd", b"....", None, ".psd"),
        ("archive.tar.gz", b"....", "x", ".gz"),
        ("图片.bmp", b"....", "application/x-of-nobody", ".bmp"),
        ("nothing", b"....", None, ""),
        ("odd.p/n g", b"....", None, ""),
        ("", b"", None, ""),
    ],
)
def test_f22_the_path_of_an_uploads_url_ends_in_what_it_is(
    name: str, data: bytes, declared: str | None, extension: str
) -> None:
    world = World()
    file = world.files.create("acme", name, data, declared)
    record = accept(world, file["urls"]["get"])
    key = f"acme/inputs/{record.id}/0{extension}"
    assert sent(world)["image"] == f"https://uploads.test/{key}?signed"
    assert world.uploads.objects[key][0] == data


@pytest.mark.parametrize(
    ("name", "data", "declared", "extension"),
    [
        ("photo.png", JPEG, "image/png", ".jpg"),
        ("photo", PNG, "application/octet-stream", ".png"),
        ("clip", b"....", "video/x-msvideo", ".avi"),
        ("clip.mkv", b"....", "application/octet-stream", ".mkv"),
    ],
)
def test_f22_so_does_that_of_a_file_that_came_by_a_form(
    name: str, data: bytes, declared: str, extension: str
) -> None:
    world = World()
    form = world.files.form("acme", name, declared)
    assert world.forms.post(f"acme/files/{form['id']}", data) == 204
    record = accept(world, form["urls"]["get"])
    assert record.uploads == {"/image": f"acme/inputs/{record.id}/0{extension}"}


@pytest.mark.parametrize(
    ("head", "data", "extension"),
    [
        ("image/png;base64", JPEG, ".jpg"),
        ("image/tiff;name=a.bmp;base64", b"II*\0", ".tiff"),
        ("application/octet-stream;name=my%20weights.ckpt;base64", b"....", ".ckpt"),
        (";base64", b"....", ""),
    ],
)
def test_f22_so_does_that_of_a_data_uri_that_is_moved_out(
    head: str, data: bytes, extension: str
) -> None:
    world = World()
    data += bytes(200_000)
    record = accept(world, f"data:{head},{base64.b64encode(data).decode()}")
    key = f"acme/inputs/{record.id}/0{extension}"
    assert record.uploads == {"/image": key}
    assert world.uploads.objects[key][0] == data


def test_an_upload_that_is_deleted_while_it_is_read_is_an_unknown_one() -> None:
    world = World()
    file = world.files.create("acme", "x.png", PNG)

    def begin(key: str) -> dict[str, Any] | None:
        found = type(world.uploads).begin(world.uploads, key)
        world.uploads.delete(key)
        return found

    world.uploads.begin = begin  # type: ignore[method-assign]
    with pytest.raises(InvalidInputError) as refused:
        accept(world, file["urls"]["get"])
    assert refused.value.fields == [("file", "input.image", "File not found")]
    assert len(world.store) == 0


# Recognizing files


@pytest.mark.parametrize(
    "prompt", ["data:city,night", "data:,x", "data:image/png;base64,AAAA", "?"]
)
def test_f24_a_prompt_that_begins_like_a_file_is_a_prompt(prompt: str) -> None:
    world = World()
    if prompt == "?":
        prompt = world.files.create("acme", "x.png", PNG)["urls"]["get"]
    for more in ({}, {"image": f"data:;base64,{base64.b64encode(LARGE.encode()).decode()}"}):
        record = world.accept({"prompt": prompt, **more}, reference=SDXL)
        assert record.input["prompt"] == prompt
        assert record.uploads.keys() == {f"/{name}" for name in more}
        assert sent(world)["prompt"] == prompt


def open_world(properties: dict[str, Any], **schemas: Any) -> World:
    world = World(open_models=True)
    input_ = {"type": "object", "properties": properties}
    world.provider.schemas[OPEN] = {"components": {"schemas": {"Input": input_, **schemas}}}
    return world


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": FILE},
        {"type": "array", "items": {"$ref": "#/components/schemas/Image"}},
        {"allOf": [{"$ref": "#/components/schemas/Images"}], "description": "pictures"},
        {"anyOf": [{"$ref": "#/components/schemas/Images"}, {"type": "null"}]},
    ],
)
def test_f24_references_in_a_schema_are_followed(schema: dict[str, Any]) -> None:
    images = {"type": "array", "items": {"$ref": "#/components/schemas/Image"}}
    world = open_world({"images": schema, "text": TEXT}, Image=FILE, Images=images)
    file = world.files.create("acme", "x", PNG)["urls"]["get"]
    given = {"images": [file, "https://example.com/a.png", file], "text": file}
    record = world.accept(given, reference=OPEN)
    here = f"acme/inputs/{record.id}"
    assert record.uploads == {"/images/0": f"{here}/0.png", "/images/2": f"{here}/1.png"}
    assert sent(world)["text"] == file


def test_f24_a_broken_file_is_refused_where_the_schema_wants_one_and_text_elsewhere() -> None:
    world = open_world({"image": FILE, "text": TEXT, "any": {}})
    broken = "data:city,night", "data:image/png;base64,a"
    for text in broken:
        world.accept({"text": text}, reference=OPEN)
    world.accept({"any": broken[0], "unknown": broken[0]}, reference=OPEN)
    world.accept({"image": broken[0]}, reference=OPEN)
    for name in ("image", "any", "unknown"):
        with pytest.raises(InvalidInputError):
            world.accept({name: broken[1]}, reference=OPEN)


def test_f23_f25_schemes_have_no_case_and_base64_may_have_line_breaks() -> None:
    world = World()
    encoded = base64.encodebytes(PNG * 3).decode()
    assert encoded.count("\n") > 2
    plain = f"data:image/png;name=my%20photo.png;base64,{''.join(encoded.split())}"
    for scheme in ("data", "DATA"):
        accept(world, f"{scheme}:image/png;name=my%20photo.png;base64,{encoded}")
        assert sent(world)["image"] == plain
    accept(world, "HTTPS://Example.com/a.png")
    assert sent(world)["image"] == "HTTPS://Example.com/a.png"


@pytest.mark.parametrize("form", ["HTTPS://DARKROOM.TEST/v1/files/{}", "{}?x=1", "{}#x"])
def test_f25_a_reference_to_an_upload_has_no_case_either(form: str) -> None:
    world = World()
    file = world.files.create("acme", "x", PNG)
    here = file["id"] if form.startswith("HTTPS") else f"{PUBLIC_URL}/v1/files/{file['id']}"
    record = accept(world, form.format(here))
    assert record.uploads == {"/image": f"acme/inputs/{record.id}/0.png"}


# Outputs as inputs


def test_f18_an_output_is_an_input_by_its_key() -> None:
    world = World()
    source = made(world)
    url = world.shown(source)["output"][0]
    record = accept(world, url)
    key = source.files[0].key
    assert record.uploads == {"/image": key}
    assert "image" not in record.input
    assert sent(world)["image"] == f"https://outputs.test/{key}?signed"
    assert world.shown(record)["input"]["image"] == f"https://outputs.test/{key}?signed"


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.partition("?")[0],
        lambda url: url.replace("?signed", "?Expires=1&Signature=x&Key-Pair-Id=y"),
        lambda url: url.replace("https://outputs", "HTTPS://OUTPUTS"),
        lambda url: url.replace("outputs.test", "outputs.test:443"),
        lambda url: url.replace("/acme/", "/%61cme/"),
    ],
)
def test_f18_its_signature_and_spelling_do_not_count(change: Any) -> None:
    world = World()
    url = world.shown(made(world))["output"][0]
    request = {"prompt": "larger", "seed": 4, "image": url}
    first = world.accept(request, reference=SDXL, idempotency_key="k")
    again = {**request, "image": change(url)}
    assert world.accept(again, reference=SDXL, idempotency_key="k").id == first.id
    assert world.accept(again, reference=SDXL).cache_key == first.cache_key


def test_f18_it_counts_by_its_bytes() -> None:
    world = World()
    output = world.shown(made(world))["output"][0]
    upload = world.files.create("acme", "same.png", PNG)["urls"]["get"]
    assert accept(world, output).fingerprint == accept(world, upload).fingerprint


def test_f18_a_late_create_gets_a_url_of_its_time() -> None:
    world = World()
    url = world.shown(made(world))["output"][0]
    world.provider.answers = ["refuse", None]
    record = accept(world, url)
    world.clock.advance(60)
    assert world.dispatch.create_upstream(record.id)
    assert sent(world)["image"].startswith("https://outputs.test/acme/")


def test_f18_another_tenants_output_is_a_url_like_any_other() -> None:
    world = World()
    url = world.shown(made(world))["output"][0]
    asked: list[str] = []
    world.outputs.digest = asked.append  # type: ignore[method-assign,assignment]
    for given in (url, url.replace(".png", ".gif"), url.replace("?signed", "")):
        record = accept(world, given, tenant="other")
        assert record.uploads == {}
        assert sent(world)["image"] == given
    assert asked == []


def test_f18_an_output_that_is_gone_is_an_unknown_file() -> None:
    world = World()
    url = world.shown(made(world))["output"][0]
    world.outputs.objects.clear()
    with pytest.raises(InvalidInputError) as refused:
        accept(world, url)
    assert refused.value.fields == [("file", "input.image", "File not found")]


@pytest.mark.parametrize(
    "form",
    ["https://elsewhere.test/{}", "https://outputs.test/x/{}", "see https://outputs.test/{}"],
)
def test_f18_the_key_alone_on_another_host_says_nothing(form: str) -> None:
    world = World()
    url = form.format(made(world).files[0].key)
    record = world.accept({"prompt": "p", "any": url})
    assert record.uploads == {}
    assert sent(world)["any"] == url
