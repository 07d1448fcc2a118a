"""Models: pages, a stage's own entries and aliases, and versions of open models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.catalog import Catalogue
from darkroom.domain.errors import BadRequestError, NotFoundError
from darkroom.replicate.cog import HIDDEN
from darkroom.services.models.browse import PAGE, Models
from darkroom.services.models.run_times import RunTimes

from tests.support.fakes import FakeClock, FakeControls
from tests.support.world import World, load_catalogue

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "b" * 64


def entry(model: str, **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "tasks": ["text-to-image"],
        "official": True,
        "input_schema": {"type": "object", "properties": {"prompt": {"type": "string"}}},
        "output": "string",
        "typical_seconds": 3,
        "price": {"unit": "image", "usd": 0.01},
        **more,
    }


def stage(folder: Path, *entries: dict[str, Any], aliases: dict[str, str] | None = None) -> Models:
    for each in entries:
        path = folder / f"{each['model'].replace('/', '--')}.json"
        path.write_text(json.dumps(each))
    if aliases:
        (folder / "aliases.json").write_text(json.dumps(aliases))
    controls = FakeControls()
    catalogue = Catalogue.load(folder)
    return Models(lambda: catalogue, controls, RunTimes(controls, FakeClock()), open_models=False)


def test_models_come_in_pages_of_25(tmp_path: Path) -> None:
    models = stage(tmp_path, *(entry(f"team/m{number:02d}") for number in range(51)))
    names: list[str] = []
    after: str | None = None
    for expected in (25, 25, 1):
        page, after, _ = models.page(after)
        assert len(page) == expected
        names += [model["name"] for model in page]
    assert names == [f"m{number:02d}" for number in range(51)]
    assert after is None


def test_a_page_that_is_just_full_is_the_last(tmp_path: Path) -> None:
    models = stage(tmp_path, *(entry(f"team/m{number:02d}") for number in range(PAGE)))
    assert models.page(None)[1] is None
    assert models.page("team/m24") == ([], None, None)


@pytest.mark.parametrize("descending", [False, True])
def test_oracles_f8_models_are_listed_from_either_end(tmp_path: Path, *, descending: bool) -> None:
    """Forward and back: each page links to its neighbors."""
    models = stage(tmp_path, *(entry(f"team/m{number:02d}") for number in range(60)))
    names = sorted((f"m{number:02d}" for number in range(60)), reverse=descending)
    pages = [names[:25], names[25:50], names[50:]]
    cursor: str | None = None
    before: str | None = None
    for expected in pages:
        shown, cursor, before = models.page(cursor, descending=descending)
        assert [model["name"] for model in shown] == expected
    assert cursor is None
    for expected in (pages[1], pages[0]):
        shown, cursor, before = models.page(before, descending=descending)
        assert [model["name"] for model in shown] == expected
        again, *_ = models.page(cursor, descending=descending)
        assert [model["name"] for model in again] == pages[pages.index(expected) + 1]
    assert before is None


def test_a_page_before_a_model_that_has_gone_begins_where_it_was(tmp_path: Path) -> None:
    models = stage(tmp_path, *(entry(f"team/m{number:02d}") for number in range(3)))
    shown, following, previous = models.page("<team/m01x")
    assert [model["name"] for model in shown] == ["m00", "m01"]
    assert (following, previous) == ("team/m01", None)
    assert models.page("<team/m00") == ([], None, None)


@pytest.mark.parametrize("after", ["", "team", "team/m\n", "a/" + "b" * 199, "<", "<<a/b"])
def test_a_page_begins_only_after_a_models_name(after: str) -> None:
    with pytest.raises(BadRequestError):
        World().models.page(after)


def test_an_alias_of_the_stage_shows_its_model(tmp_path: Path) -> None:
    models = stage(tmp_path, entry("team/fast"), aliases={"Old/Name": "team/fast"})
    assert models.get("Old/Name") == models.get("team/fast")
    assert models.versions("Old/Name") == []
    assert models.version("Old/Name", HIDDEN) == models.get("team/fast")["latest_version"]


def test_an_official_model_without_a_known_version_is_shown_as_replicate_shows_it(
    tmp_path: Path,
) -> None:
    models = stage(tmp_path, entry("team/fast"))
    latest = models.get("team/fast")["latest_version"]
    assert latest["id"] == HIDDEN
    assert latest["openapi_schema"]["components"]["schemas"]["Output"]["type"] == "string"


def test_a_version_is_one_models_own(tmp_path: Path) -> None:
    models = stage(tmp_path, entry("team/a", official=False, version=VERSION), entry("team/b"))
    assert models.version("team/a", VERSION)["id"] == VERSION
    for name in ("team/b", "team/c"):
        with pytest.raises(NotFoundError):
            models.version(name, VERSION)


def test_a_version_named_twice_is_listed_once(tmp_path: Path) -> None:
    models = stage(
        tmp_path, entry("team/a", official=False, version=VERSION, known_versions=[VERSION])
    )
    assert [version["id"] for version in models.versions("team/a")] == [VERSION]


@pytest.mark.parametrize("open_models", [True, False])
def test_an_open_model_shows_the_versions_that_were_run(open_models: bool) -> None:
    world = World(open_models=open_models)
    schema = {"components": {"schemas": {"Input": {"properties": {}}}}}
    world.controls.cache_schema("some/body", VERSION, schema)
    if open_models:
        assert world.models.version("some/body", VERSION)["openapi_schema"] == schema
    else:
        with pytest.raises(NotFoundError):
            world.models.version("some/body", VERSION)
    for name, version in (
        ("some/body", "c" * 64),
        ("other/name", VERSION),
        ("a" * 3000 + "/b", VERSION),
    ):
        with pytest.raises(NotFoundError):
            world.models.version(name, version)
    with pytest.raises(NotFoundError):
        world.models.get("some/body")


@pytest.mark.parametrize("name", ["", "x", f"a/b:{VERSION}", VERSION])
def test_a_reference_that_is_no_name_is_no_model(name: str) -> None:
    models = World().models
    known = load_catalogue().model("stability-ai/sdxl").version
    for reference in (name, f"stability-ai/sdxl:{known}"):
        with pytest.raises(NotFoundError):
            models.versions(reference)
