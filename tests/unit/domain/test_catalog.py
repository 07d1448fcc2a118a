"""The packaged models, and their lookup by reference, version and stage alias."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import SystemRandom
from typing import Any

import darkroom.catalog
import pytest
from darkroom.catalog import Catalogue
from darkroom.catalog.entry import check
from darkroom.domain.checker import validate_input
from darkroom.domain.model import InvalidModelError, draw_seed

PACKAGED = Path(darkroom.catalog.__file__).parent
FILE = "tests/unit/domain/test_catalog.py"
THIS_TEST = "test_newcomer_bug_11_a_model_that_is_added_makes_no_test_fail"
INPAINTING = "stability-ai/stable-diffusion-inpainting"
INPAINTING_VERSION = "95b7223104132402a9ae91cc677285bc5eb997834bd2349fa486f53910fd68b3"
INPAINTING_DAMAGED = "95b7223104132402a9ae91cc677285bc5eb997f76ab45f93e1cbd4b4e08d6e29"
SDXL_VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
PICTURE = "https://example.com/fox.png"

# Models whose schemas are checked exactly: the minimal input, the shape of the output, and the
# names of all properties in their order. A new model needs no line here.
MODELS: dict[str, tuple[dict[str, Any], str, str]] = {
    "black-forest-labs/flux-schnell": (
        {"prompt": "a fox"},
        "array",
        (
            "prompt aspect_ratio num_outputs num_inference_steps seed output_format output_quality"
            " disable_safety_checker go_fast megapixels"
        ),
    ),
    "black-forest-labs/flux-dev": (
        {"prompt": "a fox"},
        "array",
        (
            "prompt aspect_ratio image prompt_strength num_outputs num_inference_steps guidance"
            " seed output_format output_quality disable_safety_checker go_fast megapixels"
        ),
    ),
    "black-forest-labs/flux-pro": (
        {"prompt": "a fox"},
        "string",
        (
            "prompt image_prompt aspect_ratio width height steps guidance interval safety_tolerance"
            " prompt_upsampling seed output_format output_quality"
        ),
    ),
    "black-forest-labs/flux-1.1-pro": (
        {"prompt": "a fox"},
        "string",
        (
            "prompt image_prompt aspect_ratio width height safety_tolerance seed prompt_upsampling"
            " output_format output_quality"
        ),
    ),
    "black-forest-labs/flux-fill-pro": (
        {"prompt": "a fox", "image": PICTURE},
        "string",
        (
            "prompt image mask outpaint seed steps prompt_upsampling guidance safety_tolerance"
            " output_format"
        ),
    ),
    "stability-ai/sdxl": (
        {},
        "array",
        (
            "prompt negative_prompt image mask width height num_outputs scheduler"
            " num_inference_steps guidance_scale prompt_strength seed refine high_noise_frac"
            " refine_steps apply_watermark lora_scale replicate_weights disable_safety_checker"
        ),
    ),
    INPAINTING: (
        {"image": PICTURE, "mask": PICTURE},
        "array",
        (
            "prompt negative_prompt image mask height width num_outputs num_inference_steps"
            " guidance_scale scheduler seed disable_safety_checker"
        ),
    ),
    "nightmareai/real-esrgan": ({"image": PICTURE}, "string", "image scale face_enhance"),
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def least_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a value for each required property."""
    samples = {"string": "a fox", "integer": 1, "number": 1, "boolean": True}
    least: dict[str, Any] = {}
    either = schema.get("anyOf", [{}])[0].get("required", [])
    for name in (*schema.get("required", []), *either):
        given = schema["properties"][name]
        if given["type"] == "array":
            least[name] = [PICTURE]
            continue
        uri = PICTURE if given.get("format") == "uri" else samples[given["type"]]
        choices = given.get("enum", [given.get("minimum", uri)])
        least[name] = given.get("default", choices[0])
    return least


@pytest.mark.parametrize("name", Catalogue.load().names())
def test_newcomer_bug_11_every_packaged_model_can_be_run_and_shown(
    catalogue: Catalogue, name: str
) -> None:
    found = catalogue.resolve(name)
    assert found is not None
    schema = found.model.input_schema
    properties: dict[str, dict[str, Any]] = schema["properties"]
    assert sorted(each["x-order"] for each in properties.values()) == list(range(len(properties)))
    for each in properties.values():
        assert each["title"]
        assert each["description"]
    least = least_of(schema)
    assert validate_input(schema, least) == []
    defaults = {key: p["default"] for key, p in properties.items() if "default" in p}
    assert validate_input(schema, {**least, **defaults}) == []
    drawn = draw_seed(schema, least, SystemRandom())
    # A model's own default seed is kept.
    assert ("seed" in drawn) is ("seed" in properties and "seed" not in defaults)


def test_newcomer_bug_11_a_model_that_is_added_makes_no_test_fail(tmp_path: Path) -> None:
    """Run all tests that use the catalogue on a package with an additional model."""
    root = Path(__file__).parents[3]
    package = tmp_path / "functions" / "darkroom"
    shutil.copytree(PACKAGED.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    prompt = {"type": "string", "title": "Prompt", "description": "What to show", "x-order": 0}
    new = entry(
        model="google/imagen-4",
        description="Pictures from texts",
        input_schema={"type": "object", "required": ["prompt"], "properties": {"prompt": prompt}},
    )
    write(package / "catalog", "google--imagen-4.json", new)
    tests = ["domain/test_catalog.py", "replicate/test_cog.py", "domain/test_money.py"]
    tests += ["services/test_run_times.py", "handlers/test_read_models.py"]
    command = [sys.executable, "-m", "pytest", *(f"tests/unit/{each}" for each in tests)]
    command += ["-vv", "-k", "model", "--deselect", f"{FILE}::{THIS_TEST}"]
    command += ["-o", f"pythonpath=. {tmp_path / 'functions'}", "-p", "no:schemathesis"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "[google/imagen-4] PASSED" in done.stdout


@pytest.mark.parametrize("name", MODELS)
def test_each_model(catalogue: Catalogue, name: str) -> None:
    found = catalogue.resolve(name)
    assert found is not None
    model = found.model
    least, output, names = MODELS[name]
    properties: dict[str, dict[str, Any]] = model.input_schema["properties"]
    by_order = sorted(properties, key=lambda each: properties[each]["x-order"])
    assert by_order == names.split()
    assert [properties[each]["x-order"] for each in by_order] == list(range(len(by_order)))
    assert set(model.input_schema.get("required", [])) == least.keys()
    assert model.output == output
    assert found.version == model.version
    assert (found.warning is None) is (not model.status)

    assert validate_input(model.input_schema, least) == []
    for missing in least:
        rest = {key: value for key, value in least.items() if key != missing}
        (problem,) = validate_input(model.input_schema, rest)
        assert problem.description == f"{missing} is required"
    defaults = {key: p["default"] for key, p in properties.items() if "default" in p}
    assert validate_input(model.input_schema, {**least, **defaults}) == []
    for schema in properties.values():
        assert schema["title"]
        assert schema["description"]
        assert schema["type"] in {"string", "integer", "number", "boolean"}

    drawn = draw_seed(model.input_schema, least, SystemRandom())
    assert ("seed" in drawn) is ("seed" in properties)


@pytest.mark.parametrize(
    ("name", "key", "wrong"),
    [
        ("black-forest-labs/flux-schnell", "num_inference_steps", 5),
        ("black-forest-labs/flux-schnell", "megapixels", 1),
        ("black-forest-labs/flux-schnell", "aspect_ratio", "custom"),
        ("black-forest-labs/flux-dev", "guidance", 10.5),
        ("black-forest-labs/flux-pro", "aspect_ratio", "21:9"),
        ("black-forest-labs/flux-pro", "width", 1441),
        ("black-forest-labs/flux-1.1-pro", "safety_tolerance", 7),
        ("black-forest-labs/flux-fill-pro", "steps", 14),
        ("black-forest-labs/flux-fill-pro", "output_format", "webp"),
        ("stability-ai/sdxl", "scheduler", "KLMS"),
        ("stability-ai/sdxl", "num_outputs", 5),
        (INPAINTING, "width", 500),
        (INPAINTING, "mask", "mask.png"),
        ("nightmareai/real-esrgan", "scale", 10.1),
    ],
)
def test_each_model_has_its_limits(
    catalogue: Catalogue, name: str, key: str, wrong: object
) -> None:
    found = catalogue.resolve(name)
    assert found is not None
    value = {**MODELS[name][0], key: wrong}
    assert [p.field for p in validate_input(found.model.input_schema, value)] == [f"input.{key}"]


@pytest.mark.parametrize(
    ("reference", "name", "version"),
    [
        ("black-forest-labs/flux-schnell", "black-forest-labs/flux-schnell", None),
        (
            (
                "black-forest-labs/flux-schnell:"
                "c846a69991daf4c0e5d016514849d14ee5b2e6846ce6b9d6f21369e564cfe51e"
            ),
            "black-forest-labs/flux-schnell",
            "c846a69991daf4c0e5d016514849d14ee5b2e6846ce6b9d6f21369e564cfe51e",
        ),
        (
            "41c767bcbfffe54ef8f05eb4d0100f9314790f7fc43a7b88d73ec06839deddb9",
            "black-forest-labs/flux-fill-pro",
            "41c767bcbfffe54ef8f05eb4d0100f9314790f7fc43a7b88d73ec06839deddb9",
        ),
        ("stability-ai/sdxl", "stability-ai/sdxl", SDXL_VERSION),
        (f"stability-ai/sdxl:{SDXL_VERSION}", "stability-ai/sdxl", SDXL_VERSION),
        (SDXL_VERSION, "stability-ai/sdxl", SDXL_VERSION),
        (
            "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b",
            "stability-ai/sdxl",
            "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b",
        ),
        (INPAINTING, INPAINTING, INPAINTING_VERSION),
    ],
)
def test_references(catalogue: Catalogue, reference: str, name: str, version: str | None) -> None:
    found = catalogue.resolve(reference)
    assert found is not None
    assert (found.model.model, found.version, found.warning) == (name, version, None)


@pytest.mark.parametrize(
    "reference",
    [
        "black-forest-labs/flux-pro",
        "ce4035b99fc7bac18bc2f0384632858f126f6b4d96c88603a898a76b8e0c4ac2",
    ],
)
def test_a_deprecated_model_is_used_with_a_warning(catalogue: Catalogue, reference: str) -> None:
    found = catalogue.resolve(reference)
    assert found is not None
    assert found.warning == (
        "black-forest-labs/flux-pro is deprecated (2026-11-30): "
        "use black-forest-labs/flux-1.1-pro in its place."
    )


def test_two_warnings_are_one_text(tmp_path: Path) -> None:
    status = {"state": "deprecated", "as_of": "2026-11-01"}
    pinned = entry(official=False, version="a" * 64, version_aliases={"b" * 64: "Mended."})
    write(tmp_path, "acme--portrait.json", {**pinned, "status": status})
    found = Catalogue.load(tmp_path).resolve("b" * 64)
    assert found is not None
    assert found.warning == "acme/portrait is deprecated (2026-11-01). Mended."


@pytest.mark.parametrize("prefix", ["", INPAINTING + ":"])
def test_the_damaged_inpainting_hash_means_the_known_one(catalogue: Catalogue, prefix: str) -> None:
    found = catalogue.resolve(prefix + INPAINTING_DAMAGED)
    assert found is not None
    assert (found.model.model, found.version) == (INPAINTING, INPAINTING_VERSION)
    assert found.warning is not None
    assert INPAINTING_VERSION in found.warning


@pytest.mark.parametrize(
    "reference",
    [
        "",
        ":",
        "flux-schnell",
        "black-forest-labs/flux-schnel",
        "Black-Forest-Labs/flux-schnell",
        "black-forest-labs/flux-schnell\n",
        "black-forest-labs/flux-schnell:",
        "black-forest-labs/flux-schnell:latest",
        f"black-forest-labs/flux-schnell:{SDXL_VERSION}",
        f"stability-ai/sdxl:{SDXL_VERSION.upper()}",
        f"stability-ai/sdxl:{SDXL_VERSION}\n",
        f"nobody/nothing:{SDXL_VERSION}",
        "0" * 64,
        SDXL_VERSION.upper(),
        # Versions whose inputs differ from those in the catalogue.
        "9d0768f66b5a739ff3b365366b3fe9cafb3997fd86098b96482c8d28c9aef50f",
        "9609ba7331ed872c99f81c92c69a9ee52a50d8aba99f636173e0674d997efd0c",
        "../../etc/passwd",
        "aliases",
        "é\ud800\0",
    ],
)
def test_unknown_references(catalogue: Catalogue, reference: str) -> None:
    assert catalogue.resolve(reference) is None


def entry(**changes: object) -> dict[str, object]:
    return {
        "model": "acme/portrait",
        "tasks": ["text-to-image"],
        "official": True,
        "input_schema": {"type": "object", "properties": {"prompt": {"type": "string"}}},
        "output": "string",
        "typical_seconds": 4,
        "price": {"unit": "image", "usd": 0.01},
        **changes,
    }


def write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content), "utf-8")


def test_a_stage_adds_models_and_aliases(tmp_path: Path) -> None:
    write(tmp_path, "acme--portrait.json", entry())
    write(
        tmp_path,
        "acme--pinned.json",
        entry(model="acme/pinned", official=False, version="a" * 64, known_versions=["b" * 64]),
    )
    write(
        tmp_path,
        "aliases.json",
        {
            "my-model": "acme/portrait",
            "acme/best": f"acme/pinned:{'b' * 64}",
            "acme/portrait": "acme/pinned",
        },
    )
    catalogue = Catalogue.load(tmp_path)
    assert catalogue.names() == ("acme/pinned", "acme/portrait")
    found = {name: catalogue.resolve(name) for name in ["my-model", "acme/best", "acme/portrait"]}
    assert {name: (r.model.model, r.version) for name, r in found.items() if r} == {
        "my-model": ("acme/portrait", None),
        "acme/best": ("acme/pinned", "b" * 64),
        "acme/portrait": ("acme/pinned", "a" * 64),
    }
    assert catalogue.resolve("my-model:" + "a" * 64) is None


@pytest.mark.parametrize(
    "aliases",
    [
        [],
        {"a": 1},
        {"a": "acme/nothing"},
        {"a": "acme/portrait:latest"},
        {"a b": "acme/portrait"},
        {"": "acme/portrait"},
        {"a/b/c": "acme/portrait"},
    ],
)
def test_aliases_that_cannot_be_meant(tmp_path: Path, aliases: object) -> None:
    write(tmp_path, "acme--portrait.json", entry())
    write(tmp_path, "aliases.json", aliases)
    with pytest.raises(InvalidModelError, match=r"aliases\.json"):
        Catalogue.load(tmp_path)


OURS = dict.fromkeys(("generations", "edits", "masked"), "owner/name")


def test_a_stage_has_names_of_openais_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "owner--name.json", entry())
    assert Catalogue.load(tmp_path).openai_names() == {}
    write(tmp_path, "openai.json", {"gpt-image-1": OURS})
    over = Catalogue.load(over=tmp_path)
    assert over.openai_names()["gpt-image-1"].edits == "owner/name"
    assert over.openai_names().keys() == {"gpt-image-1"}, "the file replaces the packaged one"
    assert "openai" not in {name.partition(".")[0] for name in over.names()}


@pytest.mark.parametrize(
    "names",
    [
        "{",
        "[]",
        '{"gpt": "owner/name"}',
        '{"gpt": {"generations": "owner/name"}}',
        json.dumps({"gpt": {**OURS, "edits": "owner/other"}}),
        json.dumps({"gpt": {**OURS, "edits": 7}}),
        json.dumps({"gpt": {**OURS, "more": "owner/name"}}),
    ],
)
def test_names_of_openais_that_cannot_be_meant(tmp_path: Path, names: str) -> None:
    write(tmp_path, "owner--name.json", entry())
    (tmp_path / "openai.json").write_text(names, "utf-8")
    with pytest.raises(InvalidModelError, match=r"openai\.json"):
        Catalogue.load(tmp_path).openai_names()


def test_damaged_aliases(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{", "utf-8")
    with pytest.raises(InvalidModelError, match=r"aliases\.json: not JSON"):
        Catalogue.load(tmp_path)


def test_a_file_name_must_name_a_model(tmp_path: Path) -> None:
    write(tmp_path, "portrait.json", entry())
    with pytest.raises(InvalidModelError, match=r"portrait\.json"):
        Catalogue.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        (json.dumps(entry(model="acme/other")), "holds the model acme/other"),
        (json.dumps(entry(output="file")), "output: Input should be"),
    ],
)
def test_a_damaged_entry_names_its_file(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "acme--portrait.json").write_text(content, "utf-8")
    with pytest.raises(InvalidModelError, match=rf"acme--portrait\.json: .*{reason}"):
        check(Catalogue.load(tmp_path))


@pytest.mark.parametrize("content", ["{}", "[]", '"x"', '{"tasks": 1}'])
def test_what_is_no_entry_is_not_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "acme--portrait.json").write_text(content, "utf-8")
    with pytest.raises(InvalidModelError, match=r"acme--portrait\.json: not a catalogue entry"):
        Catalogue.load(tmp_path).resolve("acme/portrait")


def test_the_packaged_entries_are_what_an_entry_must_be() -> None:
    check(Catalogue.load())


def test_only_the_wanted_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, "acme--portrait.json", entry())
    (tmp_path / "acme--damaged.json").write_text("{", "utf-8")
    catalogue = Catalogue.load(tmp_path)
    first = catalogue.resolve("acme/portrait")
    (tmp_path / "acme--portrait.json").unlink()
    assert catalogue.resolve("acme/portrait") == first


def test_importing_the_catalogue_reads_no_model_and_no_package_beyond_the_standard_library() -> (
    None
):
    code = (
        "import sys, darkroom.catalog, darkroom.domain.signature, darkroom.domain.link,"
        " darkroom.domain.media\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(tops & {'pydantic', 'httpx', 'boto3', 'botocore', 'aws_lambda_powertools'}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PACKAGED.parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
