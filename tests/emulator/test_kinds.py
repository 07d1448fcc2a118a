"""Outputs other than a picture: each has the format of its name, from the first byte to the
last."""

from __future__ import annotations

import io
import struct
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from emulator.models import STREAM_TEXT
from tests.emulator.client import SCHNELL, Client, Receiver, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRO = "black-forest-labs/flux-1.1-pro"
ALIKE = {"prompt": "a lighthouse", "seed": 1}


def made(client: Client, kind: str, version: str = SCHNELL, **values: Any) -> Any:
    client.faults(output_kind=kind)
    done = client.create(version, wait=True, **{**ALIKE, **values})
    assert done["status"] == "succeeded"
    return done["output"]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each box of an ISO base media file, which fill it to the last
    byte."""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        assert size >= 8
        yield name, data[at + 8 : at + size]
        at += size
    assert at == len(data)


def elements(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the same of an EBML document."""
    at = 0
    while at < len(data):
        width = 9 - data[at].bit_length()
        name = data[at : at + width].hex()
        at += width
        size_width = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + size_width]) & ((1 << 7 * size_width) - 1)
        at += size_width
        yield name, data[at : at + size]
        at += size
    assert at == len(data)


def check_svg(data: bytes, picture: bytes) -> None:
    assert data.startswith(b"<svg ")
    root = ET.fromstring(data)  # noqa: S314 - of our own making
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    (image,) = root
    assert image.attrib["href"].startswith("data:image/webp;base64,")
    assert len(data) > len(picture)


def check_heic(data: bytes, picture: bytes) -> None:
    found = dict(boxes(data))
    assert list(found) == [b"ftyp", b"meta", b"mdat"]
    assert found[b"ftyp"].startswith(b"heic")
    assert found[b"mdat"] == picture
    assert dict(boxes(found[b"meta"][4:]))[b"hdlr"][8:12] == b"pict"


def check_mov(data: bytes, picture: bytes) -> None:
    found = dict(boxes(data))
    assert list(found) == [b"ftyp", b"wide", b"mdat", b"moov"]
    assert found[b"ftyp"].startswith(b"qt  ")
    assert found[b"mdat"] == picture
    assert len(dict(boxes(found[b"moov"]))[b"mvhd"]) == 100


def check_webm(data: bytes, picture: bytes) -> None:
    assert data.startswith(b"\x1a\x45\xdf\xa3")
    (_, header), (segment, content) = elements(data)
    assert dict(elements(header))["4282"] == b"webm"
    assert segment == "18538067"
    assert dict(elements(content))["ec"] == picture


def check_html(data: bytes, picture: bytes) -> None:
    assert data.startswith(b"<!doctype html>")
    assert picture not in data


@pytest.mark.parametrize(
    ("kind", "extension", "content_type", "check"),
    [
        ("svg", "svg", "image/svg+xml", check_svg),
        ("heic", "heic", "image/heic", check_heic),
        ("mov", "mov", "video/quicktime", check_mov),
        ("webm", "webm", "video/webm", check_webm),
        ("html", "webp", "text/html; charset=utf-8", check_html),
    ],
)
def test_files_of_other_types(
    client: Client,
    kind: str,
    extension: str,
    content_type: str,
    check: Callable[[bytes, bytes], None],
) -> None:
    picture = client.get(made(client, "picture")[0])
    assert picture.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(picture.content)).format == "WEBP"
    urls = made(client, kind)
    assert [url.rpartition("/")[2] for url in urls] == [f"out-0.{extension}"]
    served = client.get(urls[0])
    assert served.headers["content-type"] == content_type
    check(served.content, picture.content)


def test_every_file_of_several_is_of_the_type(client: Client) -> None:
    urls = made(client, "heic", num_outputs=3)
    contents = [client.get(url).content for url in urls]
    assert len(set(contents)) == 3
    assert all(content[4:12] == b"ftypheic" for content in contents)
    assert client.get(made(client, "svg", PRO)).content.startswith(b"<svg ")


@pytest.mark.parametrize("version", [SCHNELL, PRO])
@pytest.mark.parametrize(
    ("kind", "output"), [("none", None), ("empty", []), ("text", "A picture of a lighthouse")]
)
def test_outputs_without_a_file(
    client: Client, receiver: Receiver, version: str, kind: str, output: object
) -> None:
    assert made(client, kind, version) == output
    body = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    client.create(version, body=body, **ALIKE)
    assert receiver.next_status() == "succeeded"


@pytest.mark.parametrize("version", [SCHNELL, PRO])
def test_a_file_inside_of_a_mapping(client: Client, version: str) -> None:
    output = made(client, "mapping", version)
    assert output == {"image": output["image"], "meta": {"source": "https://example.com/license"}}
    assert client.get(output["image"]).headers["content-type"].startswith("image/")


def test_several_files_inside_of_a_mapping(client: Client) -> None:
    output = made(client, "mapping", num_outputs=3)
    assert list(output) == ["image", "image_2", "image_3", "meta"]
    assert len({client.get(output[name]).content for name in list(output)[:3]}) == 3


def test_the_kind_is_that_of_the_time_of_creation(client: Client) -> None:
    client.faults(output_kind="empty", time_scale=0.2)
    created = client.create()
    client.faults(output_kind="svg")
    held = client.create(wait=True)
    assert held["output"][0].endswith(".svg")
    client.faults(output_kind="text")
    until(lambda: client.prediction(created["id"])["status"] == "succeeded")
    assert client.prediction(created["id"])["output"] == []


def test_a_model_of_text_goes_on_writing(client: Client) -> None:
    client.faults(output_kind="svg")
    written = client.create(STREAM_TEXT["version"], wait=True)["output"]
    assert "".join(written).startswith("You asked for")


def test_a_failure_is_a_failure_whatever_would_have_been_made(client: Client) -> None:
    client.faults(output_kind="mapping")
    failed = client.create(wait=True, prompt="please FAIL")
    assert (failed["status"], failed["output"]) == ("failed", None)


def test_kind_tail_and_length_at_once(client: Client) -> None:
    client.faults(
        output_kind="mov",
        output_tail=7,
        output_length="absent",
        show_input="masked",
        metrics="large",
        status_word="queued",
        read_status=503,
    )
    done = client.create(wait=True, **ALIKE)
    assert done["status"] == "succeeded"
    served = httpx.get(done["output"][0], trust_env=False, timeout=60)
    assert "content-length" not in served.headers
    assert served.content.endswith(b"\n" * 7)
    assert [name for name, _ in boxes(served.content[:-7])] == [b"ftyp", b"wide", b"mdat", b"moov"]
    assert client.get(done["urls"]["get"]).status_code == 503
