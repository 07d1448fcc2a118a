"""The gallery: finding pictures again, and going on from one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from darkroom.domain.keys import new_token
from playwright.sync_api import expect

from ops.keys import put_key
from tests.e2e.copies import tenant_of_copies
from tests.e2e.driver import DEV, SCHNELL

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Locator, Route

    from local.cloud import EmbeddedCloud
    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

DAY_MS = 86_400_000


def tiles(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("main").get_by_role("article")


def of_a_new_tenant(
    driver: Driver, visitors: Callable[..., Visitor], tenant: str
) -> tuple[Visitor, httpx.Client]:
    """A visitor of a tenant that has nothing yet, and another client of it."""
    cloud, token = driver.cloud, new_token()
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["ControlsTable"]
    put_key(dynamodb, table, token, tenant=tenant, name="gallery")
    return visitors(cloud.base_url, token), driver.client(token)


def with_one_picture(
    driver: Driver, visitors: Callable[..., Visitor], tenant: str, prompt: str, **given: object
) -> tuple[Visitor, str]:
    """A visitor who looks at the gallery of a tenant with one picture, and its prediction's id."""
    visitor, api = of_a_new_tenant(driver, visitors, tenant)
    made = driver.create(api=api, input={"prompt": prompt, **given})
    driver.handed_on(made["id"])
    visitor.arrives()
    visitor.goes_to("Gallery")
    return visitor, str(made["id"])


def test_an_empty_gallery_shows_the_way(driver: Driver, visitors: Callable[..., Visitor]) -> None:
    visitor, _ = of_a_new_tenant(driver, visitors, "nothing-yet")
    visitor.arrives()
    visitor.goes_to("Gallery")
    expect(visitor.page.get_by_text("Nothing was made yet")).to_be_visible()
    visitor.page.get_by_role("link", name="Make a picture").click()
    expect(visitor.generate).to_be_visible()


def test_300_are_paged_through(
    cloud: EmbeddedCloud, driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    made = driver.run("One of three hundred")
    visitor = visitors(cloud.base_url, tenant_of_copies(cloud, made["id"], 300, tenant="three"))
    visitor.arrives()
    visitor.goes_to("Gallery")
    visitor.scrolls_to(300)
    expect(tiles(visitor)).to_have_count(300)
    expect(visitor.page.get_by_text("That is everything")).to_be_visible()
    opened = tiles(visitor).get_by_role("link", name="Open", exact=True)
    links = opened.evaluate_all("links => links.map((link) => link.hash)")
    assert len(set(links)) == 300
    visitor.sees_picture(tiles(visitor).last.get_by_role("img"))


def test_pictures_are_filtered_by_model_state_day_and_tag(
    driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor, api = of_a_new_tenant(driver, visitors, "filtered")

    def make(prompt: str, model: str = SCHNELL, **more: object) -> str:
        made = driver.create(model, api=api, input={"prompt": prompt}, **more)
        driver.recorded(made["id"], lambda item: "due_at" not in item)
        return str(made["id"])

    make("By another model", DEV)
    make("FAIL, by state")
    make("With a tag", tags=["spring"])
    old = make("Of another day")
    created = int(driver.record(old)["created_at"]["N"]) - 3 * DAY_MS
    driver.change(old, "created_at", {"N": str(created)})

    visitor.arrives()
    visitor.goes_to("Gallery")
    expect(tiles(visitor)).to_have_count(4)
    page = visitor.page

    page.get_by_label("Model", exact=True).select_option(DEV)
    expect(tiles(visitor)).to_have_count(1)
    expect(tiles(visitor)).to_contain_text("By another model")
    page.get_by_role("link", name="Clear filters").click()
    expect(tiles(visitor)).to_have_count(4)

    page.get_by_label("State", exact=True).select_option("Failed")
    expect(tiles(visitor)).to_have_count(1)
    expect(tiles(visitor)).to_contain_text("FAIL, by state")
    page.get_by_role("link", name="Clear filters").click()
    expect(tiles(visitor)).to_have_count(4)

    day = page.evaluate("(at) => new Date(at).toISOString().slice(0, 10)", created)
    page.get_by_label("Day", exact=True).fill(day)
    expect(tiles(visitor)).to_have_count(1)
    expect(tiles(visitor)).to_contain_text("Of another day")
    page.get_by_role("link", name="Clear filters").click()
    expect(tiles(visitor)).to_have_count(4)

    page.get_by_label("Tag", exact=True).fill("spring")
    page.get_by_label("Tag", exact=True).press("Enter")
    expect(tiles(visitor)).to_have_count(1)
    expect(tiles(visitor)).to_contain_text("With a tag")
    page.get_by_label("Model", exact=True).select_option(DEV)
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    # Filters change the address of their page, and `Clear filters` leads to another one.
    page.go_back()
    expect(tiles(visitor)).to_contain_text(["Of another day"])
    expect(page.get_by_label("Day", exact=True)).to_have_value(day)
    expect(page.get_by_label("Tag", exact=True)).to_have_value("")


def test_a_picture_is_upscaled_from_the_gallery(
    driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor, _ = with_one_picture(driver, visitors, "upscaled", "Small, then large")
    tiles(visitor).get_by_role("button", name="Upscale").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_label("Model").select_option("nightmareai/real-esrgan")
    expect(dialog.get_by_text(re.compile(r"at most \$"))).to_be_visible()
    dialog.get_by_role("button", name="Upscale").click()
    expect(tiles(visitor)).to_have_count(2)
    upscaled = tiles(visitor).filter(has_text="nightmareai/real-esrgan")
    expect(upscaled.get_by_text("Succeeded")).to_be_visible()
    upscaled.get_by_role("link", name="Open", exact=True).click()
    visitor.settles("The same call")
    large = visitor.page.get_by_role("main").get_by_role("img").first
    visitor.sees_picture(large)
    assert large.evaluate("image => image.naturalWidth") > 1024


def test_a_picture_becomes_an_input(driver: Driver, visitors: Callable[..., Visitor]) -> None:
    visitor, id_ = with_one_picture(driver, visitors, "reused", "To be changed")
    tiles(visitor).get_by_role("button", name="Use as input").click()
    expect(visitor.page.get_by_role("button", name=re.compile("^Remove "))).to_be_visible()
    visitor.asks_for("Changed in the console")
    expect(visitor.results.first.get_by_text("Succeeded")).to_be_visible()
    (upstream,) = driver.made_of("Changed in the console")
    assert id_ in str(upstream["input"])


def test_a_running_one_is_followed_and_canceled_in_the_gallery(
    driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor, api = of_a_new_tenant(driver, visitors, "followed")
    driver.faults(time_scale=600)
    driver.create(api=api, input={"prompt": "Long awaited"})
    visitor.arrives()
    visitor.goes_to("Gallery")
    expect(tiles(visitor).get_by_role("progressbar")).to_be_visible()
    tiles(visitor).get_by_role("button", name="Cancel").click()
    expect(tiles(visitor).get_by_text("Canceled").last).to_be_visible()


def test_another_seed_makes_another_picture(
    driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor, _ = with_one_picture(driver, visitors, "seeds", "Once more", seed=11)
    tiles(visitor).get_by_role("button", name="Another seed").click()
    expect(tiles(visitor).get_by_text("Succeeded")).to_have_count(2)
    first, second = (one["input"]["seed"] for one in driver.made_of("Once more"))
    assert first == 11 != second


def test_what_was_asked_for_before_the_gallery_was_opened_appears_in_it(
    driver: Driver, visitors: Callable[..., Visitor]
) -> None:
    visitor, _ = with_one_picture(driver, visitors, "late", "Asked for in time")
    tiles(visitor).get_by_role("link", name="Open", exact=True).click()
    visitor.settles("The same call")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visitor.page.route(re.compile(r"/v1/models/[^?]+/predictions$"), hold)
    with visitor.page.expect_request(re.compile("/predictions$")):
        visitor.page.get_by_role("button", name="Another seed").click()
    visitor.goes_to("Gallery")
    expect(visitor.page.get_by_text("That is everything")).to_be_visible()
    expect(tiles(visitor)).to_have_count(1)
    held[0].continue_()
    expect(tiles(visitor)).to_have_count(2)
    expect(tiles(visitor).get_by_text("Succeeded")).to_have_count(2)
