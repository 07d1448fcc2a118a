"""The emulator's pictures for the catalogue's entries: each by its own inputs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.catalog import Catalogue
from PIL import Image, ImageDraw

from emulator.server import running
from local.examples import data_uri
from tests.emulator.client import TOKEN, Client
from tests.emulator.photos import difference, half_mask, photo
from tests.support.least import SIZE as SMALL
from tests.support.least import least

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOGUE = Catalogue.load()
REMOVERS = ("851-labs/background-remover", "bria/remove-background")
FLUX_2 = "black-forest-labs/flux-2-pro"
FILL_DEV = "black-forest-labs/flux-fill-dev"
KONTEXT = "black-forest-labs/flux-kontext-pro"
KLEIN = "black-forest-labs/flux-2-klein-4b"
SEEDREAM = "bytedance/seedream-4.5"
NANO = "google/nano-banana-pro"
IDEOGRAM = "ideogram-ai/ideogram-v3-turbo"
GPT = "openai/gpt-image-2"
QWEN = "qwen/qwen-image-edit-plus"
EXPAND = "bria/expand-image"
RED, BLUE = (255, 0, 0), (0, 0, 255)

DEFAULTS: dict[str, tuple[tuple[int, int], str]] = {
    "851-labs/background-remover": (SMALL, "PNG"),
    "black-forest-labs/flux-1.1-pro": ((1024, 1024), "WEBP"),
    "black-forest-labs/flux-1.1-pro-ultra": ((1024, 1024), "JPEG"),
    "black-forest-labs/flux-2-dev": ((1024, 1024), "WEBP"),
    "black-forest-labs/flux-2-klein-4b": ((1024, 1024), "JPEG"),
    "black-forest-labs/flux-2-max": ((1024, 1024), "WEBP"),
    "black-forest-labs/flux-2-pro": ((1024, 1024), "WEBP"),
    "black-forest-labs/flux-dev": ((1024, 1024), "WEBP"),
    "black-forest-labs/flux-fill-dev": ((1248, 832), "WEBP"),
    "black-forest-labs/flux-fill-pro": (SMALL, "JPEG"),
    "black-forest-labs/flux-kontext-pro": ((1248, 832), "PNG"),
    "black-forest-labs/flux-pro": ((1024, 1024), "WEBP"),
    "black-forest-labs/flux-schnell": ((1024, 1024), "WEBP"),
    "bria/eraser": (SMALL, "PNG"),
    "bria/expand-image": ((96, 96), "PNG"),
    "bria/remove-background": (SMALL, "PNG"),
    "bytedance/seedream-4.5": ((2048, 2048), "JPEG"),
    "bytedance/seedream-5-lite": ((2048, 2048), "PNG"),
    "bytedance/seedream-5-pro": ((2048, 2048), "PNG"),
    "google/nano-banana-2": ((1024, 1024), "JPEG"),
    "google/nano-banana-pro": ((2048, 2048), "JPEG"),
    "ideogram-ai/ideogram-v3-turbo": ((1024, 1024), "PNG"),
    "nightmareai/real-esrgan": ((384, 256), "PNG"),
    "openai/gpt-image-2": ((1024, 1024), "WEBP"),
    "openai/gpt-image-2.5-flare": ((1024, 1024), "WEBP"),
    "philz1337x/clarity-upscaler": ((192, 128), "PNG"),
    "prunaai/z-image-turbo": ((1024, 1024), "JPEG"),
    "qwen/qwen-image-edit-plus": ((1248, 832), "WEBP"),
    "recraft-ai/recraft-crisp-upscale": ((384, 256), "WEBP"),
    "recraft-ai/recraft-v4": ((1024, 1024), "WEBP"),
    "stability-ai/sdxl": ((1024, 1024), "PNG"),
    "stability-ai/stable-diffusion-inpainting": ((512, 512), "PNG"),
    "tencentarc/gfpgan": ((192, 128), "PNG"),
    "topazlabs/image-upscale": (SMALL, "JPEG"),
}
"""Of the entries known here; others only have to produce their pictures."""


def plain(size: tuple[int, int], colour: tuple[int, int, int]) -> str:
    return data_uri(Image.new("RGB", size, colour))


def halves(size: tuple[int, int]) -> Image.Image:
    """Return a picture that is black on the left and white on the right."""
    picture = Image.new("RGB", size)
    ImageDraw.Draw(picture).rectangle((size[0] // 2, 0, *size), fill="white")
    return picture


def subject(size: tuple[int, int] = (200, 100)) -> Image.Image:
    """Return a red disc before a light wall."""
    picture = Image.new("RGB", size, (230, 225, 215))
    ImageDraw.Draw(picture).ellipse((70, 20, 130, 80), fill=RED)
    return picture


def run(client: Client, name: str, **values: Any) -> list[Image.Image]:
    done = client.create(reference(name), wait=True, **values)
    assert done["status"] == "succeeded", done["error"]
    output = done["output"]
    urls = output if isinstance(output, list) else [output]
    return [Image.open(io.BytesIO(client.get(url).content)) for url in urls]


def refused(client: Client, name: str, **values: Any) -> str:
    done = client.create(reference(name), wait=True, **values)
    assert done["status"] == "failed"
    return str(done["error"])


def reference(name: str) -> str:
    return CATALOGUE.model(name).version or name


def near(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """Count the pixels that approximately have this color."""
    counted = picture.convert("RGB").getcolors(1 << 24) or []
    return sum(
        number
        for number, found in counted
        if all(abs(one - other) < 24 for one, other in zip(found, colour, strict=True))
    )


@pytest.mark.parametrize("name", CATALOGUE.names())
def test_every_entry_s_defaults_give_a_picture(client: Client, name: str) -> None:
    (picture,) = run(client, name, **least(CATALOGUE.model(name)))
    size, kind = DEFAULTS.get(name, (picture.size, picture.format))
    assert (picture.size, picture.format) == (size, kind)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in CATALOGUE.names()
        if "image-editing" in CATALOGUE.model(name).tasks
        and CATALOGUE.model(name)
        .input_schema["properties"][CATALOGUE.model(name).pictures[0]]
        .get("type")
        == "array"
    ],
)
def test_every_picture_of_a_list_is_seen(client: Client, name: str) -> None:
    pictures = [data_uri(halves((90, 60))), plain((40, 60), RED), plain((80, 60), BLUE)]
    (picture,) = run(client, name, **{CATALOGUE.model(name).pictures[0]: pictures})
    assert near(picture, RED) > 1000
    assert near(picture, BLUE) > 1000
    middle = picture.height // 2
    left, right = (
        picture.convert("L").crop((x, middle, x + 50, middle + 50)).resize((1, 1)).getpixel((0, 0))
        for x in (picture.width // 4, picture.width * 3 // 4)
    )
    assert isinstance(left, int)
    assert isinstance(right, int)
    assert right - left > 60


def test_style_references_stand_on_the_picture(client: Client) -> None:
    styles = [plain((50, 50), RED), plain((50, 50), BLUE)]
    (picture,) = run(client, IDEOGRAM, style_reference_images=styles)
    assert min(near(picture, RED), near(picture, BLUE)) > 1000


@pytest.mark.parametrize("strength", [0, 0.1, 1])
def test_a_picture_to_go_by_is_seen(client: Client, strength: float) -> None:
    name = "black-forest-labs/flux-1.1-pro-ultra"
    values = {"seed": 5, "output_format": "png"}
    (own,) = run(client, name, **values)
    source = photo(80, 80)
    (led,) = run(
        client, name, image_prompt=data_uri(source), image_prompt_strength=strength, **values
    )
    like = source.resize(own.size)
    assert difference(led, like) < difference(own, like) - 5


@pytest.mark.parametrize("name", REMOVERS)
def test_a_background_is_removed(client: Client, name: str) -> None:
    (picture,) = run(client, name, image=data_uri(subject()))
    assert (picture.mode, picture.size) == ("RGBA", (200, 100))
    assert picture.getpixel((100, 50)) == (*RED, 255)
    assert {picture.getchannel("A").getpixel(at) for at in ((2, 2), (197, 97), (40, 50))} == {0}


def test_transparent_parts_are_no_subject(client: Client) -> None:
    source = subject()
    source.putalpha(Image.new("L", source.size, 0))
    (picture,) = run(client, REMOVERS[0], image=data_uri(source))
    assert picture.getchannel("A").getextrema() == (0, 0)


def test_where_no_subject_is_seen_the_middle_is_taken(client: Client) -> None:
    (picture,) = run(client, REMOVERS[0], image=plain((60, 60), BLUE))
    alpha = picture.getchannel("A")
    assert (alpha.getpixel((30, 30)), alpha.getpixel((1, 1))) == (255, 0)


@pytest.mark.parametrize(
    ("values", "corner", "middle"),
    [
        ({"reverse": True}, (230, 225, 215, 255), (*RED, 0)),
        ({"threshold": 0.5}, (230, 225, 215, 0), (*RED, 255)),
        ({"background_type": "white"}, (255, 255, 255), RED),
        ({"background_type": "map"}, 0, 255),
        ({"background_type": "https://example.com/wall.png"}, (230, 225, 215, 0), (*RED, 255)),
        ({"format": "webp", "background_type": "blur"}, None, None),
        ({"format": "jpg", "background_type": "overlay"}, None, None),
    ],
)
def test_what_stands_behind_the_subject(
    client: Client, values: dict, corner: Any, middle: Any
) -> None:
    (picture,) = run(client, REMOVERS[0], image=data_uri(subject()), **values)
    if corner is not None:
        assert (picture.getpixel((1, 1)), picture.getpixel((100, 50))) == (corner, middle)
    else:
        assert "A" not in picture.getbands()


@pytest.mark.parametrize(
    ("name", "field"), [(KONTEXT, "input_image"), (QWEN, "image"), (NANO, "image_input")]
)
def test_an_edit_keeps_the_shape_of_its_picture(client: Client, name: str, field: str) -> None:
    uri = data_uri(photo(300, 200))
    (picture,) = run(client, name, **{field: uri if field == "input_image" else [uri]})
    assert picture.width / picture.height == pytest.approx(1.5, rel=0.02)
    (square,) = run(
        client, name, aspect_ratio="1:1", **{field: uri if field == "input_image" else [uri]}
    )
    assert square.width == square.height


@pytest.mark.parametrize(
    ("name", "values", "size"),
    [
        (FLUX_2, {"resolution": "0.5 MP"}, (720, 720)),
        (FLUX_2, {"resolution": "4 MP", "aspect_ratio": "16:9"}, (2720, 1536)),
        (FLUX_2, {"aspect_ratio": "custom", "width": 2048, "height": 300}, (2048, 288)),
        (FLUX_2, {"aspect_ratio": "custom", "width": None, "height": 512}, (1024, 512)),
        (KLEIN, {"output_megapixels": "0.25"}, (512, 512)),
        (KLEIN, {"output_megapixels": "4", "aspect_ratio": "9:21"}, (1328, 3120)),
        (SEEDREAM, {"size": "4K", "aspect_ratio": "16:9"}, (5456, 3072)),
        (SEEDREAM, {"size": "4K"}, (4096, 4096)),
        (NANO, {"resolution": "1K", "aspect_ratio": "4:5"}, (896, 1088)),
        (NANO, {"resolution": "4K", "aspect_ratio": "21:9"}, (6256, 2672)),
        (GPT, {"aspect_ratio": "1536x1024"}, (1536, 1024)),
        (GPT, {"aspect_ratio": "auto"}, (1024, 1024)),
        (IDEOGRAM, {"resolution": "512x1536", "aspect_ratio": "1:1"}, (512, 1536)),
        (IDEOGRAM, {"aspect_ratio": "3:1"}, (1760, 576)),
        ("recraft-ai/recraft-v4", {"size": "1280x832"}, (1280, 832)),
        ("recraft-ai/recraft-v4", {"aspect_ratio": "16:9"}, (1344, 768)),
        ("prunaai/z-image-turbo", {"width": 2048, "height": 1000}, (2048, 1000)),
    ],
)
def test_sizes_and_tiers(client: Client, name: str, values: dict, size: tuple[int, int]) -> None:
    (picture,) = run(client, name, **values)
    assert picture.size == size


def test_a_size_that_follows_the_picture_keeps_within_the_most(client: Client) -> None:
    values = {"resolution": "match_input_image", "aspect_ratio": "match_input_image"}
    (picture,) = run(client, FLUX_2, input_images=[data_uri(photo(400, 300))], **values)
    assert picture.size == (400, 300)


@pytest.mark.parametrize(
    ("name", "field", "values", "size"),
    [
        ("topazlabs/image-upscale", "image", {"upscale_factor": "4x"}, (160, 120)),
        ("topazlabs/image-upscale", "image", {"upscale_factor": "None"}, (40, 30)),
        ("philz1337x/clarity-upscaler", "image", {"scale_factor": 3}, (120, 90)),
        ("philz1337x/clarity-upscaler", "image", {"downscaling": True}, (80, 60)),
        (
            "philz1337x/clarity-upscaler",
            "image",
            {"downscaling": True, "downscaling_resolution": 20},
            (46, 34),
        ),
        ("recraft-ai/recraft-crisp-upscale", "image", {}, (160, 120)),
        ("tencentarc/gfpgan", "img", {"scale": 1.5}, (60, 45)),
    ],
)
def test_factors(
    client: Client, name: str, field: str, values: dict, size: tuple[int, int]
) -> None:
    (picture,) = run(client, name, **{field: data_uri(photo(40, 30))}, **values)
    assert picture.size == size


@pytest.mark.parametrize(
    ("name", "values", "count"),
    [
        (SEEDREAM, {"max_images": 3, "sequential_image_generation": "auto"}, 3),
        (SEEDREAM, {"max_images": 3}, 1),
        (GPT, {"number_of_images": 2, "quality": "low"}, 2),
        (FILL_DEV, {"num_outputs": 2, "image": data_uri(photo(60, 60)), "megapixels": "0.25"}, 2),
    ],
)
def test_a_series_has_so_many_pictures(client: Client, name: str, values: dict, count: int) -> None:
    pictures = run(client, name, **values)
    assert len({picture.tobytes() for picture in pictures}) == count


def test_a_transparent_background(client: Client) -> None:
    (picture,) = run(client, GPT, background="transparent", output_format="png")
    alpha = picture.getchannel("A")
    assert (alpha.getpixel((2, 2)), alpha.getpixel((512, 512))) == (0, 255)
    error = refused(client, GPT, background="transparent", output_format="jpeg")
    assert "png or webp" in error


@pytest.mark.parametrize(
    ("name", "fresh", "values"),
    [
        (FILL_DEV, "left", {"megapixels": "match_input", "output_format": "png"}),
        (IDEOGRAM, "right", {}),
        ("stability-ai/sdxl", "left", {"width": 200, "height": 100, "prompt_strength": 1}),
        ("bria/eraser", "left", {"prompt": "not one of its inputs"}),
        ("philz1337x/clarity-upscaler", "right", {"scale_factor": 1}),
    ],
)
def test_a_mask_is_read_with_the_polarity_of_its_model(
    client: Client, name: str, fresh: str, values: dict
) -> None:
    source = photo(200, 100)
    ImageDraw.Draw(source).line([(0, 0), (100, 100), (199, 0)], fill="white", width=3)
    uris = {"image": data_uri(source), "mask": data_uri(half_mask(200, 100))}
    (picture,) = run(client, name, **uris, **values)
    boxes = {"left": (0, 0, 100, 100), "right": (100, 0, 200, 100)}
    changed = {side: difference(picture.crop(box), source.crop(box)) for side, box in boxes.items()}
    kept = "right" if fresh == "left" else "left"
    assert changed[kept] == 0
    assert changed[fresh] > 1


def test_an_address_in_plain_text_serves_too(client: Client) -> None:
    source = photo(60, 40)
    uris = {"image_url": data_uri(source), "mask_url": data_uri(half_mask(60, 40))}
    (picture,) = run(client, "bria/eraser", **uris)
    right = (30, 0, 60, 40)
    assert difference(picture.crop(right), source.crop(right)) == 0
    assert difference(picture, source) > 1


@pytest.mark.parametrize(
    ("values", "size", "inside"),
    [
        ({"aspect_ratio": "16:9"}, (178, 100), (39, 0, 139, 100)),
        ({"aspect_ratio": "2:3"}, (100, 150), (0, 25, 100, 125)),
        ({"canvas_size": [300, 200]}, (300, 200), (100, 50, 200, 150)),
        (
            {
                "canvas_size": [300, 200],
                "original_image_size": [50, 40],
                "original_image_location": [10, 20],
                "prompt": "a garden",
            },
            (300, 200),
            (10, 20, 60, 60),
        ),
        (
            {"canvas_size": [50, 50], "original_image_location": [-25, -200]},
            (50, 50),
            None,
        ),
    ],
)
def test_a_canvas_grows_around_its_picture(
    client: Client, values: dict, size: tuple[int, int], inside: tuple[int, ...] | None
) -> None:
    source = photo(100, 100)
    (picture,) = run(client, EXPAND, image=data_uri(source), **{"prompt": None, **values})
    assert picture.size == size
    if inside is not None:
        sides = inside[2] - inside[0], inside[3] - inside[1]
        before = source.resize(sides, Image.Resampling.LANCZOS)
        assert difference(picture.crop(inside), before) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"canvas_size": [0, 10]},
        {"canvas_size": [100_000, 100_000]},
        {"canvas_size": [10]},
        {"original_image_size": [10**9, 10**9]},
        {"original_image_size": [-1, 5]},
    ],
)
def test_a_canvas_that_cannot_be(client: Client, values: dict) -> None:
    body = {"version": EXPAND, "input": {"image": data_uri(photo(20, 20)), **values}}
    answer = client.post("/v1/predictions", json=body, headers={"prefer": "wait"})
    assert answer.status_code == 422 or answer.json()["status"] == "failed"


def test_a_picture_with_more_pixels_than_its_model_takes(client: Client) -> None:
    most = CATALOGUE.model(FLUX_2).most_pixels["in"]
    large, largest = (Image.new("1", (1024, most // 1024 + more)) for more in (1, 0))
    error = refused(client, FLUX_2, input_images=[data_uri(largest), data_uri(large)])
    assert "input_images.1 has too many pixels" in error
    assert run(client, FLUX_2, input_images=[data_uri(largest)])


def test_more_pictures_than_anybody_takes(client: Client) -> None:
    many = {"style_reference_images": [plain((8, 8), RED)] * 33}
    assert refused(client, IDEOGRAM, **many).startswith("33 pictures are given")


def test_names_that_a_model_lacks_are_ignored(client: Client) -> None:
    (picture,) = run(
        client, "black-forest-labs/flux-schnell", scale="large", image=["none"], width={}, mask=7
    )
    assert picture.size == (1024, 1024)


def test_only_a_model_that_takes_a_seed_tells_one(client: Client) -> None:
    assert "Using seed" not in client.create(NANO, wait=True)["logs"]


OWN: tuple[dict[str, Any], ...] = (
    {
        "model": "acme/portrait-svg",
        "tasks": ["image-editing"],
        "official": True,
        "output": "string",
        "typical_seconds": 1,
        "input_schema": {
            "properties": {
                "prompt": {"type": "string"},
                "people": {"type": "array", "items": {"type": "array"}},
            },
        },
        "pictures": ["people"],
    },
    {
        "model": "acme/enlarger",
        "tasks": ["upscaling"],
        "official": True,
        "output": "string",
        "typical_seconds": 1,
        "input_schema": {"properties": {"image": {"type": "string", "format": "uri"}}},
        "most_pixels": {"out": 1_000_000},
    },
)


@pytest.fixture(scope="module")
def own() -> Iterator[Client]:
    with running(token=TOKEN, models=OWN) as emulator, Client(emulator.url) as client:
        client.faults()
        yield client


def test_lists_in_lists_and_a_vector_graphic(own: Client) -> None:
    people = [[plain((30, 20), BLUE)], [plain((20, 20), RED)]]
    done = own.create("acme/portrait-svg", wait=True, people=people)
    assert done["status"] == "succeeded", done["error"]
    answer = own.get(done["output"])
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text.startswith("<svg ")
    assert done["output"].endswith(".svg")


def test_nothing_given_is_a_failure(own: Client) -> None:
    done = own.create("acme/enlarger", wait=True)
    assert (done["status"], done["error"]) == ("failed", "No picture was given.")


@pytest.mark.parametrize(("side", "status"), [(250, "succeeded"), (260, "failed")])
def test_no_picture_is_made_larger_than_the_entry_says(own: Client, side: int, status: str) -> None:
    done = own.create("acme/enlarger", wait=True, image=data_uri(photo(side, side)))
    assert done["status"] == status, done["error"]
