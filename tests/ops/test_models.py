"""`ops models`: a stage's entries from Replicate's data, which the emulator serves here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from darkroom.catalog import Catalogue
from darkroom.catalog.entry import read
from darkroom.domain.money import price_of

import app
from emulator.server import running
from ops.__main__ import main
from ops.model_entry import remarks
from ops.replicate import Replicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emulator.server import Emulator
    from ops.deployment import Deployment

TOKEN = "r8_models"
OWN = "acme/portrait"
VERSION, OTHER = (hashlib.sha256(name).hexdigest() for name in (b"one", b"other"))
INPUTS: dict[str, Any] = {
    "prompt": {"type": "string", "title": "Prompt", "x-order": 0},
    "style": {"type": "string", "enum": ["oil", "ink"], "default": "oil", "x-order": 1},
    "max_images": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1, "x-order": 2},
    "seed": {"type": "integer", "x-order": 3},
}


def upstream_entry(**changes: Any) -> dict[str, Any]:
    """Return a model that the emulator serves besides the catalogue's."""
    schema = {"type": "object", "title": "Input", "required": ["prompt"], "properties": INPUTS}
    return {
        "model": OWN,
        "task": "text-to-image",
        "official": False,
        "version": VERSION,
        "input_schema": schema,
        "output": "array",
        "typical_seconds": 4,
        "price": {"unit": "image", "usd": 0.02},
        **changes,
    }


def with_inputs(**inputs: Any) -> dict[str, Any]:
    """Return the same with additional inputs; None removes one."""
    properties = {k: v for k, v in (INPUTS | inputs).items() if v is not None}
    schema = {"type": "object", "required": ["prompt"], "properties": properties}
    return upstream_entry(input_schema=schema)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Emulator]]:
    """Starts Replicate with these models, as the shell's settings name it."""
    started: list[Any] = []

    def serve(*models: dict[str, Any]) -> Emulator:
        emulator = running(token=TOKEN, models=models)
        found = emulator.__enter__()
        started.append(emulator)
        monkeypatch.setenv("REPLICATE_BASE_URL", found.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
        return found

    yield serve
    for emulator in started:
        emulator.__exit__(None, None, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "dev"


@pytest.fixture
def models(folder: Path) -> Callable[..., int]:
    """Runs the command on the folder; returns the exit code."""
    return lambda *given: main(["models", *given, "--folder", str(folder)])


def held(folder: Path, name: str = OWN) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{name.replace('/', '--')}.json").read_text())
    return content


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# add


def test_add_writes_an_entry_that_prices_a_model(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serving(upstream_entry())
    assert models("add", OWN, "--price", "image=0.04", "--set", 'counts="max_images"') == 0
    assert files(folder) == ["acme--portrait.json"]
    said = capsys.readouterr().out
    assert f"wrote {folder}/acme--portrait.json, run by its version" in said
    assert "make deploy STAGE=dev" in said
    assert "guessed: tasks text-to-image (--task); 10 s a run (--seconds)" in said
    catalogue = Catalogue.load(over=folder)
    model = catalogue.model(OWN)
    assert (model.official, model.version, model.output) == (False, VERSION, "array")
    assert model.input_schema["properties"]["style"]["enum"] == ["oil", "ink"]
    price = price_of(model, {"prompt": "p", "max_images": 3}, 60)
    assert price is not None
    assert price.most == 120_000
    found = catalogue.resolve(VERSION)
    assert found is not None
    assert found.model.model == OWN


@pytest.mark.parametrize("name", ["black-forest-labs/flux-dev", "nightmareai/real-esrgan"])
def test_newcomer_friction_1_an_entry_is_made_from_replicates_description(
    serving: Callable[..., Emulator], models: Callable[..., int], folder: Path, name: str
) -> None:
    serving()
    assert models("add", name, "--price", "image=0.05", "--seconds", "7") == 0
    made, ours = Catalogue.load(folder).model(name), Catalogue.load().model(name)
    assert (made.version, made.official, made.output) == (ours.version, ours.official, ours.output)
    assert made.input_schema["properties"].keys() == ours.input_schema["properties"].keys()
    assert set(made.pictures) >= set(ours.pictures)
    assert made.typical_seconds == 7
    assert models("refresh", name) == 0


def test_add_pins_the_version_that_is_named(
    serving: Callable[..., Emulator], models: Callable[..., int], folder: Path
) -> None:
    serving(upstream_entry(official=True, version=None, known_versions=[VERSION, OTHER]))
    assert models("add", OWN, "--price", "image=0.04") == 0
    assert (held(folder)["official"], held(folder)["known_versions"]) == (True, [VERSION])
    reference = f"{OWN}:{OTHER}"
    assert models("add", reference, "--price", "image=0.04", "--replace") == 0
    assert (held(folder)["official"], held(folder)["version"]) == (False, OTHER)


def test_an_entry_that_is_there_is_not_written_over(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serving(upstream_entry())
    assert models("add", OWN, "--price", "image=0.04") == 0
    assert models("add", OWN, "--price", "image=9") == 1
    assert held(folder)["price"] == {"unit": "image", "usd": 0.04}
    assert "--replace" in capsys.readouterr().err


def test_add_says_what_is_not_checked_refused_or_counted(
    serving: Callable[..., Emulator], models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    serving(
        with_inputs(
            mail={"type": "string", "format": "email"},
            hf_token={"type": "string"},
            width={"type": "integer", "maximum": 8, "default": 9},
            photos={"type": "array", "items": {"type": "string", "format": "uri"}},
            mask={"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
        )
    )
    assert models("add", OWN, "--price", "image=0.04") == 0
    said = capsys.readouterr().out
    assert "not checked here, left to Replicate: format of input.mail" in said
    assert "refused where it is given: hf_token is a secret" in said
    assert "its own defaults are refused: input.width: Must be less than or equal to 8" in said
    assert """--set 'counts="max_images"'""" in said
    assert "guessed: tasks inpainting" in said


@pytest.mark.parametrize(
    ("inputs", "output", "tasks"),
    [
        ({}, "array", ["text-to-image"]),
        ({}, "text", ["text"]),
        (
            {"image": {"type": "string", "format": "uri"}},
            "string",
            ["text-to-image", "image-editing"],
        ),
        ({"prompt": None}, "string", ["image-editing"]),
    ],
)
def test_the_tasks_are_guessed(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    inputs: dict[str, Any],
    output: str,
    tasks: list[str],
) -> None:
    entry = {**with_inputs(**inputs), "output": output}
    if "prompt" in inputs:
        entry["input_schema"]["required"] = []
    serving(entry)
    assert models("add", OWN, "--price", "image=0.04") == 0
    assert held(folder)["tasks"] == tasks
    assert models("add", OWN, "--price", "image=0.04", "--replace", "--task", "upscaling") == 0
    assert held(folder)["tasks"] == ["upscaling"]


@pytest.mark.parametrize(
    ("given", "price"),
    [
        (["second=0.000225"], {"unit": "second", "usd": 0.000225}),
        (
            [
                "prediction=0.01",
                '{"unit": "image", "usd": {"by": "style", "usd": {"oil": 1, "*": 2}}}',
            ],
            [
                {"unit": "prediction", "usd": 0.01},
                {"unit": "image", "usd": {"by": "style", "usd": {"oil": 1, "*": 2}}},
            ],
        ),
        (
            ['[{"unit": "image", "usd": 1}, {"unit": "prediction", "usd": 0}]'],
            [{"unit": "image", "usd": 1}, {"unit": "prediction", "usd": 0}],
        ),
    ],
)
def test_prices(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    given: list[str],
    price: Any,
) -> None:
    serving(upstream_entry())
    assert models("add", OWN, *(part for text in given for part in ("--price", text))) == 0
    assert held(folder)["price"] == price


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["Acme/Portrait", "--price", "image=1"], "neither owner/name nor owner/name:version"),
        ([f"{OWN}:latest", "--price", "image=1"], "64 hex digits"),
        ([f"{OWN}:", "--price", "image=1"], "64 hex digits"),
        (["acme/nothing", "--price", "image=1"], "Replicate knows no acme/nothing"),
        ([f"{OWN}:{OTHER}", "--price", "image=1"], f"Replicate knows no {OWN}:{OTHER}"),
        ([OWN, "--price", "image"], "--price is unit=usd"),
        ([OWN, "--price", "picture=1"], "--price is unit=usd"),
        ([OWN, "--price", "image=nan"], "--price is unit=usd"),
        ([OWN, "--price", "image=-1"], "--price is unit=usd"),
        ([OWN, "--price", "image=cheap"], "--price is unit=usd"),
        ([OWN, "--price", "{"], "--price: not JSON at character 1"),
        ([OWN, "--price", '{"unit": "image"}'], "would be no entry: price.0.usd: Field"),
        ([OWN, "--price", "image=1", "--price", "second=1"], "would be no entry: price: parts"),
        (
            [OWN, "--price", "image=1", "--seconds", "0"],
            "typical_seconds: Input should be",
        ),
        ([OWN, "--price", "image=1", "--set", "counts"], "--set is FIELD=JSON"),
        ([OWN, "--price", "image=1", "--set", "model=1"], "--set is FIELD=JSON"),
        ([OWN, "--price", "image=1", "--set", "mask=x"], "--set mask: not JSON"),
        ([OWN, "--price", "image=1", "--set", "dead_line=5"], "dead_line: Extra inputs"),
        ([OWN, "--price", "image=1", "--set", 'mask="nothing"'], "no input 'nothing'"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line_and_leaves_nothing(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    serving(upstream_entry())
    assert models("add", *given) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert files(folder) == []


def test_a_model_that_needs_a_secret_cannot_be_added(
    serving: Callable[..., Emulator], models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = with_inputs(key={"type": "string", "format": "password"})
    entry["input_schema"]["required"] = ["prompt", "key"]
    serving(entry)
    assert models("add", OWN, "--price", "image=0.04") == 1
    assert f"{OWN} needs a secret in its input, key" in capsys.readouterr().err


def test_what_is_interrupted_leaves_no_half_written_file(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving(upstream_entry())
    assert models("add", OWN, "--price", "image=0.04") == 0

    def interrupted(path: Path, text: str, **_: Any) -> None:
        with path.open("w") as file:
            file.write(text[:50])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    assert models("add", OWN, "--price", "image=9", "--replace") == 130
    assert files(folder) == ["acme--portrait.json"]
    assert held(folder)["price"]["usd"] == 0.04


# Replicate's answers


def describing(monkeypatch: pytest.MonkeyPatch, body: object, status: int = 200) -> None:
    """Let Replicate return this for every model."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
    answer = httpx.Response(status, json=body)
    real = httpx.Client
    transport = httpx.MockTransport(lambda _: answer)
    monkeypatch.setattr(httpx, "Client", lambda **_: real(transport=transport))


def body(schema: Any, **changes: Any) -> dict[str, Any]:
    components = {"components": {"schemas": {"Input": schema, "Output": {"type": "string"}}}}
    return {"latest_version": {"id": VERSION, "openapi_schema": components}, **changes}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "shows no inputs"),
        ([], "shows no inputs"),
        ({"latest_version": None}, "shows no inputs"),
        (body({"properties": {}}), "shows no inputs"),
        (body({"properties": 7}), "shows no inputs"),
        ({**body({"properties": INPUTS}), "latest_version": 7}, "shows no inputs"),
        (
            {
                "latest_version": {
                    **body({"properties": INPUTS})["latest_version"],
                    "id": "../../x",
                }
            },
            "shows no version",
        ),
    ],
)
def test_a_description_that_is_none_is_refused(
    models: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: object,
    said: str,
) -> None:
    describing(monkeypatch, answer)
    assert models("add", OWN, "--price", "image=0.04") == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "said"), [(401, "does not know this token"), (500, "answered 500")]
)
def test_replicate_that_does_not_answer_is_said(
    models: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    said: str,
) -> None:
    describing(monkeypatch, {}, status)
    assert models("add", OWN, "--price", "image=0.04") == 1
    assert models("refresh", "stability-ai/sdxl") == 2
    assert said in capsys.readouterr().err


def test_replicates_words_reach_the_terminal_without_control_characters(
    models: Callable[..., int],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = {"a\x1b[2J": {"type": "string", "contains": {}}, "prompt": {"type": "string"}}
    example = {"metrics": {"predict_time": 3.14159}}
    said = body({"properties": inputs}, description="b\x1b[2J\n" * 400, default_example=example)
    describing(monkeypatch, said)
    assert models("add", OWN, "--price", "image=0.04") == 0
    assert models("show", OWN) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert len(held(folder)["description"]) == 300
    assert held(folder)["typical_seconds"] == 3.1


# refresh


@pytest.fixture
def added(
    serving: Callable[..., Emulator], models: Callable[..., int], folder: Path
) -> Callable[..., None]:
    """Adds the model, with its own description and limit; then Replicate's data changes."""

    def change(*later: dict[str, Any]) -> None:
        serving(with_inputs(photos={"type": "array", "items": {"type": "string"}}))
        assert models("add", OWN, "--price", "image=0.04") == 0
        entry = held(folder)
        entry["input_schema"]["properties"]["style"]["description"] = "Our own words"
        entry["input_schema"]["properties"]["photos"]["maxItems"] = 4
        (folder / "acme--portrait.json").write_text(json.dumps(entry))
        serving(*later)

    return change


PHOTOS = {"type": "array", "items": {"type": "string"}}


def test_refresh_finds_nothing_where_nothing_changed(
    added: Callable[..., None], models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    added(with_inputs(photos=PHOTOS))
    assert models("refresh", OWN) == 0
    assert f"{OWN}: as it was" in capsys.readouterr().out


def test_refresh_tells_what_changed_and_writes_only_where_it_shall(
    added: Callable[..., None],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    style = {"type": "string", "enum": ["oil", "ink", "wash"], "default": "ink"}
    later = with_inputs(photos=PHOTOS, style=style, seed=None, size={"type": "integer"})
    later["input_schema"]["required"] = ["prompt", "size"]
    added({**later, "version": OTHER, "output": "string"})
    before = held(folder)
    capsys.readouterr()
    assert models("refresh", OWN) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{OWN}: version {VERSION[:8]} → {OTHER[:8]}",
        f"{OWN}: output array → string",
        f"{OWN}: input size is new",
        f"{OWN}: input seed is gone",
        f'{OWN}: input style: default "oil" → "ink"',
        f'{OWN}: input style: enum ["oil", "ink"] → ["oil", "ink", "wash"]',
        f"{OWN}: required: prompt → prompt, size",
    ]
    assert held(folder) == before
    assert models("refresh", OWN, "--write") == 0
    after = held(folder)
    assert (after["version"], after["known_versions"]) == (OTHER, [])
    assert after["price"] == before["price"]
    assert after["output"] == "string"
    properties = after["input_schema"]["properties"]
    assert properties["style"]["description"] == "Our own words"
    assert properties["style"]["enum"] == ["oil", "ink", "wash"]
    assert properties["photos"]["maxItems"] == 4
    assert models("refresh", OWN) == 0


def test_a_new_version_of_the_same_schema_stands_beside_the_old_one(
    added: Callable[..., None], models: Callable[..., int], folder: Path
) -> None:
    added({**with_inputs(photos=PHOTOS), "version": OTHER})
    assert models("refresh", OWN, "--write") == 0
    assert (held(folder)["version"], held(folder)["known_versions"]) == (OTHER, [VERSION])
    read(held(folder))


def test_a_model_that_became_official_is_run_by_its_name(
    added: Callable[..., None], models: Callable[..., int], folder: Path
) -> None:
    later = with_inputs(photos=PHOTOS)
    added({**later, "official": True, "version": None, "known_versions": [OTHER]})
    assert models("refresh", OWN, "--write") == 0
    assert (held(folder)["official"], held(folder)["version"]) == (True, None)
    assert held(folder)["known_versions"] == [OTHER, VERSION]


def test_a_model_that_is_gone_stays_in_the_folder(
    added: Callable[..., None],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    added()
    assert models("refresh", OWN, "--write") == 1
    assert f"{OWN}: gone" in capsys.readouterr().out
    assert files(folder) == ["acme--portrait.json"]


def test_a_change_that_the_price_does_not_survive_is_not_written(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serving(upstream_entry())
    price = '{"unit": "image", "usd": {"by": "style", "usd": {"oil": 1, "ink": 2}}}'
    assert models("add", OWN, "--price", price) == 0
    before = held(folder)
    serving(with_inputs(style=None))
    capsys.readouterr()
    assert models("refresh", OWN, "stability-ai/sdxl", "--write") == 1
    refused, other = capsys.readouterr().out.splitlines()[-2:]
    assert refused.startswith(f"{OWN}: {OWN} would be no entry: price: ")
    assert other == "stability-ai/sdxl: as it was"
    assert held(folder) == before


def test_refresh_of_all_finds_the_emulator_as_the_catalogue_says(
    serving: Callable[..., Emulator], models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    serving()
    assert models("refresh") in {0, 1}
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(Catalogue.load().names())
    for line in lines:
        # The catalogue has no version of some official models; the emulator generates one.
        assert line.endswith("as it was") or ": version none → " in line


# list, show, remove


def test_list_has_the_stages_models_before_the_packaged(
    serving: Callable[..., Emulator], models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    serving(upstream_entry())
    assert models("add", "stability-ai/sdxl", "--price", "image=0.5") == 0
    assert models("add", OWN, "--price", "image=0.04", "--price", "prediction=0.01") == 0
    capsys.readouterr()
    assert models("list", "--json") == 0
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == {OWN, *Catalogue.load().names()}
    assert rows["stability-ai/sdxl"]["price"] == {"unit": "image", "usd": 0.5}
    assert {row["from"] for row in rows.values()} == {"the stage", "packaged"}
    assert models("list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines[OWN].endswith("image 0.04 + prediction 0.01")
    assert rows.keys() == lines.keys()
    deprecated = [name for name, row in rows.items() if row["deprecated"]]
    assert deprecated == [name for name, line in lines.items() if line.endswith(", deprecated")]
    assert deprecated


def test_show_has_the_entry_and_what_its_check_passes_over(
    serving: Callable[..., Emulator], models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    serving(with_inputs(mail={"type": "string", "format": "email"}))
    assert models("add", OWN, "--price", "image=0.04") == 0
    capsys.readouterr()
    assert models("show", OWN) == 0
    said = capsys.readouterr().out
    assert 'price              {"unit": "image", "usd": 0.04}' in said
    assert 'required {"type": "string"}' in said
    assert "note: not checked here, left to Replicate: format of input.mail" in said
    assert models("show", OWN, "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == VERSION


@pytest.mark.parametrize("name", Catalogue.load().names())
def test_of_a_packaged_model_nothing_is_passed_over(name: str) -> None:
    entry = json.loads(Catalogue.load().file(name).read_bytes())
    assert list(remarks(entry)) == []


def test_what_is_not_there_is_said_with_the_nearest_name(
    models: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert models("show", "black-forest-labs/flux-schnel") == 1
    assert "Do you mean black-forest-labs/flux-schnell?" in capsys.readouterr().err
    assert models("show", "x") == 1
    assert capsys.readouterr().err == "The stage has no model 'x'.\n"


def test_remove_deletes_the_stages_entry_alone(
    serving: Callable[..., Emulator],
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serving(upstream_entry())
    assert models("remove", "stability-ai/sdxl") == 1
    assert "packaged" in capsys.readouterr().err
    for name in (OWN, "stability-ai/sdxl"):
        assert models("add", name, "--price", "image=0.04") == 0
    aliases = folder / "aliases.json"
    aliases.write_text(json.dumps({"best": f"{OWN}:{VERSION}", "old": "stability-ai/sdxl"}))
    assert models("remove", OWN) == 1
    assert "by best: take that out first" in capsys.readouterr().err
    assert models("remove", "stability-ai/sdxl") == 0
    aliases.unlink()
    assert models("remove", OWN) == 0
    assert files(folder) == []
    assert models("remove", OWN) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("acme.json", "{}"),
        ("acme--portrait.json", "{"),
        ("acme--portrait.json", '{"model": "acme/portrait"}'),
        ("aliases.json", '{"a": "b/c"}'),
    ],
)
def test_a_damaged_folder_is_said_in_one_line(
    models: Callable[..., int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
) -> None:
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    for command in (["list"], ["show", OWN], ["remove", OWN]):
        assert models(*command) == 1
        assert name in capsys.readouterr().err


# Places of the entries, and the token


def test_the_folder_is_the_stages(tmp_path: Path) -> None:
    own, given = tmp_path / "stages.py", tmp_path / "given"
    own.write_text(
        "from pathlib import Path\nfrom infra.config import StageConfig\n"
        f"STAGES = {{'shop': StageConfig(name='shop', catalogue=Path({str(given)!r}))}}\n"
    )
    assert app.stage("dev", own, tmp_path).catalogue is None
    for name in ("dev", "shop"):
        (tmp_path / name).mkdir()
    assert app.stage("dev", own, tmp_path).catalogue == tmp_path / "dev"
    assert app.stage("shop", own, tmp_path).catalogue == given
    assert not app.MODELS.exists()


def test_a_stage_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--stage", "prdo"]) == 1
    assert "no stage 'prdo'" in capsys.readouterr().err
    assert main(["models", "list"]) == 0
    assert main(["models", "show", "emulator/stream-text", "--local"]) == 0
    assert "local/catalogue/emulator--stream-text.json" in capsys.readouterr().out


def test_a_version_is_asked_for_by_its_model(deployment: Deployment) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(404 if "nothing" in request.url.path else 200, json={"id": VERSION})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        replicate = Replicate(client, "https://upstream")
        assert replicate.version(TOKEN, OWN, VERSION) == {"id": VERSION}
        assert replicate.model(TOKEN, "acme/nothing") is None
    assert asked == [f"/v1/models/{OWN}/versions/{VERSION}", "/v1/models/acme/nothing"]
