"""The provider's own bill: runs are charged at the catalogue's prices, whatever is shown."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from emulator.bill import billed as billed_by_rule
from emulator.models import CATALOGUE, STREAM_TEXT, read_model
from emulator.server import running
from tests.emulator.client import SCHNELL, TOKEN, Client, until
from tests.support.ran import ran

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.predictions import Prediction

SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
IMAGE_USD, SECOND_USD = 0.003, 0.000975
SMALL = {"width": 64, "height": 64}


def priced(name: str, **price: Any) -> dict[str, Any]:
    """Return an entry of the catalogue whose model draws pictures of any size."""
    sizes = {"type": "integer", "minimum": 1, "default": 64}
    return {
        "model": f"emulator/{name}",
        "official": True,
        "input_schema": {
            "type": "object",
            "properties": {
                "prompt": {"type": "string"},
                "width": sizes,
                "height": sizes,
                "num_outputs": {"type": "integer", "minimum": 1, "default": 1},
            },
        },
        "output": "array",
        "typical_seconds": 1,
        "price": price,
    }


TABLED = {
    **priced("tabled"),
    "price": [
        {"unit": "prediction", "usd": 0.25},
        {"unit": "whole_megapixel", "usd": {"by": "prompt", "usd": {"dear": 2, "*": 1}}},
        {"unit": "whole_megapixel_in", "usd": 0.5},
        {"unit": "megapixel_in", "usd": 0.5},
    ],
}
TIERED = {**priced("tiered"), "price": {"unit": "image", "usd": {"tiers": [[100, 1], [400, 3]]}}}
AREA = priced("area", unit="megapixel", usd=0.5)
RUN = priced("run", unit="prediction", usd=0.25)


@pytest.fixture(scope="module")
def own() -> Iterator[Client]:
    """A client of an emulator whose whole bill is made here."""
    with running(token=TOKEN, seed=1, models=(AREA, RUN)) as emulator, Client(emulator.url) as own:
        yield own


@pytest.fixture
def client(own: Client) -> Client:
    own.faults()
    return own


def billed(client: Client, prediction: dict[str, Any]) -> float:
    everything = client.get("/_emulator/predictions").json()
    return next(item["billed"] for item in everything if item["id"] == prediction["id"])


def ran_s(body: dict[str, Any]) -> float:
    started, completed = (
        datetime.fromisoformat(body[f"{end}_at"]) for end in ("started", "completed")
    )
    return (completed - started).total_seconds()


@pytest.mark.parametrize("count", [1, 3])
def test_by_the_image(client: Client, count: int) -> None:
    done = client.create(wait=True, num_outputs=count, megapixels="0.25")
    assert len(done["output"]) == count
    assert billed(client, done) == pytest.approx(count * IMAGE_USD)


def test_by_the_second(client: Client) -> None:
    client.faults(time_scale=0.05)
    done = client.create(SDXL, wait=True, **SMALL)
    done = client.prediction(done["id"])
    assert ran_s(done) > 0.1
    assert billed(client, done) == pytest.approx(ran_s(done) * SECOND_USD, abs=2e-9)


def test_by_the_megapixel(client: Client) -> None:
    done = client.create("emulator/area", wait=True, width=1000, height=250, num_outputs=2)
    assert billed(client, done) == pytest.approx(2 * 0.25 * 0.5)


def test_by_the_prediction(client: Client) -> None:
    assert billed(client, client.create("emulator/run", wait=True, num_outputs=2)) == 0.25
    assert billed(client, client.create("emulator/run", wait=True, prompt="FAIL")) == 0


def test_a_model_without_a_price_costs_nothing(client: Client) -> None:
    assert billed(client, client.create(STREAM_TEXT["version"], wait=True)) == 0


def test_nothing_is_billed_before_the_end(client: Client) -> None:
    client.faults(time_scale=0.5)
    running_one = client.create(SDXL, **SMALL)
    until(lambda: client.prediction(running_one["id"])["status"] == "processing")
    assert billed(client, running_one) == 0
    canceled = client.post(running_one["urls"]["cancel"]).json()
    assert billed(client, canceled) == pytest.approx(ran_s(canceled) * SECOND_USD, abs=2e-9)


def test_what_never_started_costs_nothing(client: Client) -> None:
    client.faults(time_scale=1000)
    for version in (SDXL, SCHNELL):
        waiting = client.create(version)
        client.post(waiting["urls"]["cancel"])
        assert billed(client, waiting) == 0


def test_a_failure_is_billed_for_what_it_did(client: Client) -> None:
    client.faults(time_scale=0.05)
    by_image = client.create(wait=True, prompt="something NSFW")
    by_second = client.create(SDXL, wait=True, prompt="something NSFW", **SMALL)
    assert (by_image["status"], by_second["status"]) == ("failed", "failed")
    assert billed(client, by_image) == 0
    assert billed(client, by_second) == pytest.approx(ran_s(by_second) * SECOND_USD, abs=2e-9)


def ended(entry: dict[str, Any], status: str, **did: Any) -> Prediction:
    """Return a prediction with these results."""
    return ran(read_model(entry), completed=2, status=status, **did)


@pytest.mark.parametrize(
    ("status", "prompt", "dollars"),
    [
        ("succeeded", "a fox", 0.25 + 3 + 1.5 + 0.5 * 1.573888),
        ("succeeded", "dear", 0.25 + 6 + 1.5 + 0.5 * 1.573888),
        ("canceled", "a fox", 3),
    ],
)
def test_the_parts_of_a_price_are_added(status: str, prompt: str, dollars: float) -> None:
    done = ended(
        TABLED,
        status,
        input={"prompt": prompt},
        pictures=[(1024, 1024), (1024, 1025)],
        given=[(512, 1024), (1024, 1025)],
    )
    assert billed_by_rule(done) == pytest.approx(dollars)


def test_a_picture_costs_what_its_tier_says() -> None:
    sizes = [(10, 10), (10, 11), (20, 20), (99, 99)]
    assert billed_by_rule(ended(TIERED, "succeeded", pictures=sizes)) == 1 + 3 + 3 + 3


@pytest.mark.parametrize("status", ["canceled", "failed"])
def test_pictures_are_billed_though_the_run_ends_after_them(status: str) -> None:
    model = read_model(priced("two", unit="image", usd=0.04))
    prediction = ran(model, pictures=[(64, 64), (64, 64)])
    assert billed_by_rule(prediction) == 0
    prediction.status, prediction.completed = status, 2
    assert billed_by_rule(prediction) == 0.08


@pytest.mark.parametrize(("kind", "pictures"), [("none", 0), ("empty", 0), ("text", 0), ("svg", 1)])
def test_only_what_was_made_is_billed(client: Client, kind: str, pictures: int) -> None:
    client.faults(output_kind=kind)
    assert billed(client, client.create(wait=True)) == pictures * IMAGE_USD


@pytest.mark.parametrize("metrics", ["none", "text", "large"])
def test_the_bill_does_not_go_by_what_is_shown(client: Client, metrics: str) -> None:
    client.faults(time_scale=0.02, metrics=metrics, completed_at="0001-01-01T00:00:00Z")
    done = client.create(SDXL, wait=True, **SMALL)
    client.faults()
    shown = client.prediction(done["id"])
    assert billed(client, done) == pytest.approx(ran_s(shown) * SECOND_USD, abs=2e-9)
    client.post("/_emulator/expire")
    assert billed(client, done) == pytest.approx(ran_s(shown) * SECOND_USD, abs=2e-9)


def test_the_sum_by_model() -> None:
    with running(token=TOKEN, models=(AREA, RUN)) as emulator, Client(emulator.url) as client:
        client.faults()
        assert client.get("/_emulator/bill").json() == {}
        for version in (SCHNELL, SCHNELL, "emulator/run", "emulator/area"):
            client.create(version, wait=True, megapixels="0.25")
        by_second = client.create(SDXL, wait=True, **SMALL)
        assert client.get("/_emulator/bill").json() == {
            SCHNELL: 2 * IMAGE_USD,
            "emulator/area": pytest.approx(64 * 64 / 1e6 * 0.5),
            "emulator/run": 0.25,
            "stability-ai/sdxl": billed(client, by_second),
        }


def test_a_price_that_cannot_be_billed_is_refused() -> None:
    with pytest.raises(ValueError, match="emulator/odd: the price's unit is none of: second, "):
        read_model(priced("odd", unit="token", usd=1))


@pytest.mark.parametrize("file", sorted(CATALOGUE.glob("*--*.json")), ids=lambda file: file.stem)
def test_every_entry_of_the_catalogue_can_be_billed(file: Any) -> None:
    assert read_model(json.loads(file.read_text("utf-8"))).price is not None
