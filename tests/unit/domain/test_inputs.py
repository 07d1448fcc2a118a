"""Files inside an input: found, removed and put back in the same place."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes
from urllib.request import urlopen

import pytest
from darkroom.domain.errors import InvalidInputError
from darkroom.domain.inputs import (
    DataURI,
    find_files,
    move_out,
    names_output_of,
    path_below,
    put_back,
    steps,
    upload_key,
)
from darkroom.domain.places import Place, escape
from hypothesis import given
from hypothesis import strategies as st

HERE = "https://darkroom.test"
ID = "a" * 26


OUTPUT = f"acme/2027/01/{ID}/0.png"
FILE = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}


def key_of(url: str) -> str | None:
    return upload_key(url, HERE, "acme") or (path_below(url, "https://outputs.test/") or None)


def found(value: Any, schema: object = None) -> list[tuple[str, str]]:
    """Return the pointer and the text, or key, of each file."""
    files = find_files(value, Place([schema]), key_of)
    return [(f.pointer, f.text if isinstance(f, DataURI) else f.key) for f in files]


def test_files_are_found_in_reading_order_wherever_they_are() -> None:
    value = {
        "a/b": ["data:,x", "text", 3],
        "c~": {"d": f"{HERE}/v1/files/{ID}"},
        "e": "https://elsewhere.test/v1/files/" + ID,
        "f": f"{HERE}/v1/files/{ID}/more",
        "g": "data: is what the story is about, mostly",
        "h": f"https://outputs.test/{OUTPUT}?signed",
    }
    assert found(value) == [
        ("/a~1b/0", "data:,x"),
        ("/c~0/d", f"acme/files/{ID}"),
        ("/h", OUTPUT),
    ]


def test_files_below_eight_levels_are_left_where_they_are() -> None:
    value: Any = "data:,x"
    for _ in range(8):
        value = [value]
    assert found(value) == [("/0" * 8, "data:,x")]
    assert found([value]) == []


REFERENCE = f"{HERE}/v1/files/{ID}"


@pytest.mark.parametrize(
    "text", ["data:city,night", "data:,x", "data:image/png;base64,AAAA", "DATA:,x", REFERENCE]
)
@pytest.mark.parametrize(
    "schema",
    [
        TEXT,
        {"allOf": [TEXT]},
        {"anyOf": [TEXT, {"type": "null"}]},
        {"type": ["string", "null"]},
        {"oneOf": [{"type": "integer"}, TEXT]},
    ],
)
def test_f24_what_the_schema_calls_text_is_text(text: str, schema: dict[str, Any]) -> None:
    assert found({"prompt": text}, {"properties": {"prompt": schema}}) == []
    listed = {"type": "array", "items": schema}
    assert found({"prompts": [text, text]}, {"properties": {"prompts": listed}}) == []


@pytest.mark.parametrize("text", ["data:city,night", "data:,x", "DATA:image/png;base64,AAAA"])
@pytest.mark.parametrize(
    "schema",
    [
        FILE,
        {"format": "uri"},
        {"type": "string", "allOf": [{"format": "uri"}]},
        {"allOf": [TEXT, {"format": "uri"}]},
        {"anyOf": [FILE, {"type": "null"}]},
        {"anyOf": [{"allOf": [FILE]}]},
        {"oneOf": [FILE, {"type": "integer"}]},
        {"type": "string", "anyOf": [{"format": "uri"}]},
    ],
)
def test_f24_what_the_schema_calls_a_uri_is_a_file(text: str, schema: dict[str, Any]) -> None:
    def of(schema: object, value: Any) -> list[tuple[str, str]]:
        return found({"x": value}, {"properties": {"x": schema}})

    assert of(schema, text) == [("/x", text)]
    nested = {"type": "array", "items": {"type": "array", "items": schema}}
    assert of(nested, [[text], [], [text]]) == [("/x/0/0", text), ("/x/2/0", text)]
    assert of({"anyOf": [schema, nested]}, [[text]]) == [("/x/0/0", text)]
    inner = {"properties": {"image": schema, "note": TEXT}}
    assert of(inner, {"image": text, "note": text}) == [("/x/image", text)]
    assert of({"additionalProperties": schema}, {"any": text}) == [("/x/any", text)]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"properties": {}},
        {"properties": []},
        {"properties": {"x": 3}},
        {"properties": {"x": {}}},
        {"properties": {"x": {"anyOf": [FILE, TEXT]}}},
        {"properties": {"x": {"anyOf": 3, "allOf": [3]}}},
        {"additionalProperties": True},
    ],
)
@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("data:image/png;base64,AAAA", True),
        ("DATA:Image/PNG;name=a%20b.png;base64,AAAA", True),
        ("data:;base64,AAAA", True),
        ("data:,x", True),
        (REFERENCE, True),
        ("data:city,night", False),
        ("data: flow, painted", False),
        ("data:image/png", False),
        ("see data:,x", False),
        (f"see {REFERENCE}", False),
    ],
)
def test_f24_where_the_schema_does_not_say_what_is_plain_is_a_file(
    schema: object,
    text: str,
    is_file: bool,
) -> None:
    assert bool(found({"x": text}, schema)) is is_file


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data:,a%20b", b"a b"),
        ("data:text/plain,abc", b"abc"),
        ("data:;base64,YWJj", b"abc"),
        ("data:image/png;base64,YWJj", b"abc"),
        ("data:image/svg+xml;charset=utf-8;base64,YWJj", b"abc"),
        ("data:;base64,", b""),
        ("data:;base64;x,YWJj", b"YWJj"),
        ("data:;xbase64,YWJj", b"YWJj"),
        ("data:,%", b"%"),
        ("data:,%4%41%4g%é", b"%4A%4g%\xc3\xa9"),
        ("DATA:IMAGE/PNG;base64,YWJj", b"abc"),
        ("Data:,YWJj", b"YWJj"),
        ("data:@,x", b"x"),
        ("data:image/png;name=my%20photo.png;base64,YWJj", b"abc"),
        ('data:image/png;name="my photo.png";base64,YWJj', b"abc"),
        ("data:image/png;filename*=utf-8''a.png;base64,YWJj", b"abc"),
        ("data:;base64,YW\r\nJj\r\n", b"abc"),
        (" data:;base64,YW Jj\t", b"abc"),
        ("data:;base64,YW%0AJj", b"abc"),
        ("data:;base64,%59WJj", b"abc"),
        ("data:;base64,YWI%3D", b"ab"),
        ("data:;base64,@YWJj", b"abc"),
        ("data:;BASE64,YWJj", b"YWJj"),
        ("data:,a,b", b"a,b"),
        ("data:,a#b", b"a#b"),
    ],
)
def test_f23_a_data_uri_decodes_as_for_urllib(text: str, data: bytes) -> None:
    assert DataURI(("x",), text).data() == data
    with urlopen(text) as reference:
        assert reference.read() == data
    compact = DataURI(("x",), text).compact()
    assert compact.split(",")[0].startswith("data:")
    assert DataURI(("x",), compact).data() == data


def test_f23_a_provider_gets_a_data_uri_without_line_breaks() -> None:
    text = "DATA:image/png;name=a.png;base64," + "\n".join(["YWJj" * 19] * 3) + "\n"
    compact = DataURI(("x",), text).compact()
    assert compact == "data:image/png;name=a.png;base64," + "YWJj" * 57


@pytest.mark.parametrize(
    ("head", "media_type", "name"),
    [
        ("", "", ""),
        ("IMAGE/png", "image/png", ""),
        ("image/png;name=my%20photo.png", "image/png", "my photo.png"),
        ('image/png;charset=utf-8;name="a.png";base64', "image/png", "a.png"),
        (";base64", "", ""),
    ],
)
def test_what_a_data_uri_says_of_its_file(head: str, media_type: str, name: str) -> None:
    uri = DataURI(("x",), f"data:{head},YWJj")
    assert (uri.media_type, uri.name) == (media_type, name)


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("https://a.test/x", "https://a.test/", "x"),
        ("HTTPS://A.Test:443/x?y#z", "https://a.test/", "x"),
        ("http://a.test:80/x", "http://a.test/", "x"),
        ("http://127.0.0.1:9/b/x%20y", "http://127.0.0.1:9/b/", "x y"),
        ("https://a.test/%62/x", "https://a.test/b/", "x"),
        ("http://a.test/x", "https://a.test/", None),
        ("https://a.test:8443/x", "https://a.test/", None),
        ("https://user@a.test/x", "https://a.test/", None),
        ("https://b.test/x", "https://a.test/", None),
        ("https://a.test/c/x", "https://a.test/b/", None),
        ("https://a.test:port/x", "https://a.test/", None),
        ("https://[a/x", "https://a.test/", None),
    ],
)
def test_f25_a_url_is_known_by_its_host_and_path(url: str, base: str, path: str | None) -> None:
    assert path_below(url, base) == path


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (f"https://a.test/{OUTPUT}", True),
        (f"https://a.test/bucket/{OUTPUT}?X-Amz-Signature=1", True),
        (f"https://a.test/{OUTPUT}".replace("acme", "%61cme"), True),
        (f"https://a.test/{OUTPUT}".replace("/0.png", "%2F0.png"), True),
        (f"https://a.test/{OUTPUT}".replace("0.png", "copy-0.png"), True),
        (f"https://a.test/{OUTPUT}".replace("acme", "other"), False),
        (f"https://a.test/acme/..{OUTPUT}".replace("acme/2027", "x/2027"), False),
        (f"https://a.test/acme/inputs/{ID}/0.png", False),
        (f"https://a.test/{OUTPUT}/", False),
        ("https://a.test/", False),
        ("https://[a/", False),
    ],
)
def test_f18_an_output_is_a_tenants_own_by_its_key(url: str, ours: bool) -> None:
    assert names_output_of(url, "acme") is ours


@given(
    st.integers(0, 6),
    st.text(st.sampled_from("%4aFg é"), max_size=12),
    st.sampled_from(["", "x" * 65_536]),
)
def test_a_long_data_uri_decodes_as_a_short_one(short_of: int, text: str, after: str) -> None:
    text = "x" * (65_536 - short_of) + text + after
    assert DataURI(("x",), f"data:,{text}").data() == unquote_to_bytes(text.rstrip())


@pytest.mark.parametrize(
    "text", ["data:x", "data:;base64,a", "data:;base64,!!!!", "data:;base64,é"]
)
def test_what_does_not_decode_is_refused_by_its_place(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^- input\.a/b\.0: Invalid "):
        DataURI(("a/b", "0"), text).data()


@pytest.mark.parametrize("part", ["plain", "a/b", "c~d", "~1", "~0", "", "~/"])
def test_a_step_survives_escaping(part: str) -> None:
    assert steps(f"/{escape(part)}/x") == [part, "x"]


def test_what_is_moved_out_can_be_put_back() -> None:
    value: dict[str, Any] = {"a": [1, {"b/c": "one"}], "d": "two", "e": ["three"]}
    for pointer in ("/a/1/b~1c", "/d", "/e/0"):
        move_out(value, pointer)
    assert value == {"a": [1, {}], "e": [None]}
    put_back(value, "/a/1/b~1c", "ONE")
    put_back(value, "/d", "TWO")
    put_back(value, "/e/0", "THREE")
    assert value == {"a": [1, {"b/c": "ONE"}], "d": "TWO", "e": ["THREE"]}
