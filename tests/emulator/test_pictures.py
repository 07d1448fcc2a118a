"""The pictures: size, format and number as requested, and inputs really used."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from emulator.inputs import ModelError, Source
from emulator.lettering import Lettering
from local.examples import data_uri
from tests.emulator.client import SCHNELL, Client
from tests.emulator.photos import difference, half_mask, photo

DEV = "black-forest-labs/flux-dev"
PRO = "black-forest-labs/flux-pro"
PRO_11 = "black-forest-labs/flux-1.1-pro"
FILL = "black-forest-labs/flux-fill-pro"
SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
INPAINTING = "95b7223104132402a9ae91cc677285bc5eb997834bd2349fa486f53910fd68b3"
ESRGAN = "f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa"


def run(client: Client, version: str, **values: Any) -> list[Image.Image]:
    done = client.create(version, wait=True, **values)
    assert done["status"] == "succeeded", done["error"]
    output = done["output"]
    urls = output if isinstance(output, list) else [output]
    return [Image.open(io.BytesIO(client.get(url).content)) for url in urls]


@pytest.mark.parametrize("side", [9_000, 20_000])
def test_newcomer_bug_15_a_picture_that_is_too_large_is_called_so(side: int) -> None:
    """Whatever Pillow's limit on a picture of so many pixels is."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    with pytest.raises(ModelError, match=r"^\(E1001\) .*image has too many pixels"):
        Source("image", data)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe, Äpfel, déjà vu — naïve", "Grösse, Äpfel, déjà vu - naïve"),
        ("Łódź, smørrebrød, İzmir, ñandú", "Łódź, smørrebrød, İzmir, ñandú"),
        ("Čeština, őrült, ţară, ąę, Việt", "Čeština, őrült, ţară, ąę, Việt"),
        ("a fox 🦊", "a fox ?"),
        ("“quoted” … 50 %", "“quoted” … 50 %"),
    ],
)
def test_newcomer_bug_15_a_caption_is_in_letters_that_can_be_drawn(text: str, shown: str) -> None:
    """Accents are drawn with any fonts of the machine; a character in no font is a question
    mark."""
    assert Lettering(20).shown(text) == shown


@pytest.mark.parametrize("pair", ["eé", "oö", "nñ", "lł", "cç", "iï", "dđ", "uů", "sș"])
def test_an_accent_is_seen(pair: str) -> None:
    plain, marked = (Lettering(40).mask(letter) for letter in pair)
    assert plain.size == marked.size
    assert ImageStat.Stat(ImageChops.difference(plain, marked)).sum[0] > 255 * 4


def test_letters_of_other_scripts_come_from_the_machine_s_fonts_where_it_has_them() -> None:
    shown = Lettering(20).shown("Жα漢日한")
    assert len(shown) == 5
    assert all(letter in {wanted, "?"} for letter, wanted in zip(shown, "Жα漢日한", strict=True))


@pytest.mark.parametrize(
    ("version", "values", "size", "kind"),
    [
        (SCHNELL, {}, (1024, 1024), "WEBP"),
        (SCHNELL, {"aspect_ratio": "16:9", "output_format": "jpg"}, (1344, 768), "JPEG"),
        (SCHNELL, {"aspect_ratio": "21:9", "megapixels": "0.25"}, (768, 320), "WEBP"),
        (DEV, {"aspect_ratio": "9:21", "output_format": "png"}, (640, 1536), "PNG"),
        (PRO, {"aspect_ratio": "4:5"}, (896, 1088), "WEBP"),
        (PRO, {"aspect_ratio": "custom", "width": 300, "height": 1440}, (288, 1440), "WEBP"),
        (PRO_11, {"aspect_ratio": "custom", "width": 256}, (256, 1024), "WEBP"),
        (PRO_11, {"aspect_ratio": "3:2", "output_format": "jpg"}, (1216, 832), "JPEG"),
        (SDXL, {"width": 512, "height": 768}, (512, 768), "PNG"),
    ],
)
def test_sizes_and_formats(
    client: Client, version: str, values: dict, size: tuple[int, int], kind: str
) -> None:
    (picture,) = run(client, version, **values)
    assert (picture.size, picture.format) == (size, kind)


@pytest.mark.parametrize(("version", "name"), [(SCHNELL, "out-1.jpg"), (PRO, "out-0.jpg")])
def test_names_and_shapes(client: Client, version: str, name: str) -> None:
    more = {"num_outputs": 2} if version == SCHNELL else {}
    output = client.create(version, wait=True, output_format="jpg", **more)["output"]
    assert (output[1] if isinstance(output, list) else output).endswith("/" + name)


def test_a_seed_repeats_a_picture(client: Client) -> None:
    def pixels(**values: Any) -> list[bytes]:
        small = {"megapixels": "0.25", "output_format": "png"}
        return [picture.tobytes() for picture in run(client, SCHNELL, **small, **values)]

    assert pixels(seed=4, num_outputs=2) == pixels(seed=4, num_outputs=2)
    first, second = pixels(seed=4, num_outputs=2)
    assert len({first, second, *pixels(seed=5), *pixels(seed=4, prompt="else")}) == 4


@pytest.mark.parametrize(("version", "seed", "drawn"), [(SCHNELL, 0, True), (SDXL, 0, False)])
def test_a_seed_of_zero_is_none_to_some_models(
    client: Client,
    version: str,
    seed: int,
    drawn: bool,
) -> None:
    body = client.create(version, wait=True, seed=seed)
    assert (f"Using seed: {seed}\n" in body["logs"]) is not drawn


def test_a_negative_seed_is_none_to_all(client: Client) -> None:
    assert "Using seed: -" not in client.create(SDXL, wait=True, seed=-1)["logs"]


def test_quality_counts(client: Client) -> None:
    def size(quality: int) -> int:
        values = {"seed": 1, "output_format": "jpg", "output_quality": quality}
        done = client.create(wait=True, **values)
        return len(client.get(done["output"][0]).content)

    assert size(0) < size(80) < size(100)


def test_image_to_image_follows_ratio_and_strength(client: Client) -> None:
    source = photo(600, 300)
    values = {"image": data_uri(source), "output_format": "png", "seed": 2}
    (faithful,) = run(client, DEV, prompt_strength=0, **values)
    assert faithful.width / faithful.height == pytest.approx(2, rel=0.03)
    (free,) = run(client, DEV, prompt_strength=1, **values)
    (between,) = run(client, DEV, prompt_strength=0.5, **values)
    resized = source.resize(faithful.size)
    near, middle, far = (difference(resized, p) for p in (faithful, between, free))
    assert near < 3 < middle < far


@pytest.mark.parametrize(
    ("version", "name", "strength"),
    [
        (SDXL, "image", {"prompt_strength": 0.2}),
        (PRO_11, "image_prompt", {}),
        (PRO, "image_prompt", {}),
    ],
)
def test_other_image_inputs_are_used(
    client: Client, version: str, name: str, strength: dict
) -> None:
    (plain,) = run(client, version, seed=3)
    uri = data_uri(photo(64, 64), "application/octet-stream")
    (blended,) = run(client, version, seed=3, **{name: uri}, **strength)
    resized = photo(64, 64).resize(plain.size)
    assert difference(blended, resized) < difference(plain, resized)


@pytest.mark.parametrize(
    ("version", "values", "size"),
    [
        (INPAINTING, {}, (512, 512)),
        (INPAINTING, {"width": 640, "height": 384, "num_outputs": 2}, (640, 384)),
        (FILL, {"output_format": "png"}, (500, 300)),
        (SDXL, {"width": 512, "height": 512}, (512, 512)),
    ],
)
def test_inpainting_repaints_white_and_keeps_black(
    client: Client, version: str, values: dict, size: tuple[int, int]
) -> None:
    source = photo(*(size if version == FILL else (512, 512)))
    uris = {"image": data_uri(source), "mask": data_uri(half_mask(*source.size))}
    pictures = run(client, version, **uris, **values)
    assert len(pictures) == values.get("num_outputs", 1)
    width, height = size
    for picture in pictures:
        assert (picture.size, picture.format) == (size, "PNG")
        before = source.resize(size, Image.Resampling.LANCZOS)
        kept, fresh = (width // 2, 0, width, height), (0, 0, width // 2, height)
        assert difference(picture.crop(kept), before.crop(kept)) == 0
        assert difference(picture.crop(fresh), before.crop(fresh)) > 10


def test_transparency_serves_as_mask(client: Client) -> None:
    source = photo(256, 256)
    hole = Image.composite(
        Image.new("L", (256, 256), 0), Image.new("L", (256, 256), 255), half_mask(256, 256)
    )
    source.putalpha(hole)
    (picture,) = run(client, FILL, image=data_uri(source), output_format="png")
    right = (128, 0, 256, 256)
    assert difference(picture.crop(right), source.convert("RGB").crop(right)) == 0


@pytest.mark.parametrize(
    ("outpaint", "size", "where"),
    [
        ("Zoom out 1.5x", (300, 150), (50, 25)),
        ("Zoom out 2x", (400, 200), (100, 50)),
        ("Make square", (200, 200), (0, 50)),
        ("Left outpaint", (300, 100), (100, 0)),
        ("Right outpaint", (300, 100), (0, 0)),
        ("Top outpaint", (200, 150), (0, 50)),
        ("Bottom outpaint", (200, 150), (0, 0)),
    ],
)
def test_outpainting(
    client: Client, outpaint: str, size: tuple[int, int], where: tuple[int, int]
) -> None:
    source = photo(200, 100)
    (picture,) = run(client, FILL, image=data_uri(source), outpaint=outpaint, output_format="png")
    assert picture.size == size
    inside = (*where, where[0] + 200, where[1] + 100)
    assert difference(picture.crop(inside), source) == 0


@pytest.mark.parametrize(("scale", "size"), [(4, (160, 120)), (2.5, (100, 75)), (0, (1, 1))])
def test_upscaling(client: Client, scale: float, size: tuple[int, int]) -> None:
    source = photo(40, 30)
    (picture,) = run(client, ESRGAN, image=data_uri(source), scale=scale)
    assert (picture.size, picture.format) == (size, "PNG")
    if scale:
        assert difference(picture.resize((40, 30)), source) < 10


def test_upload_and_output_serve_as_input(client: Client) -> None:
    buffer = io.BytesIO()
    photo(30, 20).save(buffer, "GIF")
    files = {"content": ("in.gif", buffer.getvalue(), "image/gif")}
    uploaded = client.post("/v1/files", files=files).json()["urls"]["get"]
    first = client.create(ESRGAN, wait=True, image=uploaded, scale=2)
    (again,) = run(client, ESRGAN, image=first["output"], scale=2)
    assert again.size == (120, 80)


@pytest.mark.parametrize(
    ("version", "values"),
    [
        (SDXL, {"width": 100_000, "height": 100_000}),
        (SDXL, {"width": 0}),
        (SDXL, {"height": -5}),
        (ESRGAN, {"image": data_uri(Image.new("RGB", (2000, 2000))), "scale": 10}),
    ],
)
def test_sizes_that_cannot_be(client: Client, version: str, values: dict) -> None:
    assert client.create(version, wait=True, **values)["status"] == "failed"
