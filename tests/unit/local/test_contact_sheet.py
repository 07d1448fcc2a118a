"""The contact sheet as a browser reads it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from local.contact_sheet import Card, write_sheet

if TYPE_CHECKING:
    from pathlib import Path

MADE = Card(
    file="flux-schnell-1.webp",
    model="black-forest-labs/flux-schnell",
    prompt="A harbour in the first light",
    size=(1344, 768),
    seed=7,
    seconds=3.25,
    cost=0.006,
    pictures=2,
    sha256="ab" * 32,
)
HOSTILE = """</p><script>alert(1)</script><img src=x onerror="alert(1)">'" onload=alert(1) &lt;"""


class Read(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def found(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(folder: Path, *cards: Card) -> Read:
    return Read(write_sheet(folder, cards).read_text(encoding="utf-8"))


def test_a_card_says_how_its_picture_was_made(tmp_path: Path) -> None:
    page = read(tmp_path, MADE)
    shown = " ".join(page.text)
    for fact in (MADE.model, MADE.prompt, "1344x768", "7", "3.2 s", "$0.006 for 2", MADE.sha256):
        assert str(fact) in shown
    assert [picture["src"] for picture in page.found("img")] == ["flux-schnell-1.webp"]
    assert [picture["alt"] for picture in page.found("img")] == [MADE.prompt]


def test_a_card_leaves_out_what_is_not_known(tmp_path: Path) -> None:
    card = Card(file="a.png", model="an/upscaler", size=(2, 1), door="openai", sha256="0")
    page = read(tmp_path, card)
    facts = " ".join(page.text).rpartition("an/upscaler")[2].split()
    assert facts == ["Door", "openai", "Size", "2x1", "SHA-256", "0"]
    assert page.found("img")[0]["alt"] == "Picture by an/upscaler"


def test_a_seed_of_nothing_and_a_cost_of_nothing_are_shown(tmp_path: Path) -> None:
    card = Card(file="a.png", model="a/b", size=(1, 1), seed=0, cost=0.0, sha256="0")
    assert {"Seed", "0", "Cost", "$0"} <= set(" ".join(read(tmp_path, card).text).split())


def test_nothing_in_a_card_becomes_markup(tmp_path: Path) -> None:
    card = Card(
        file="a\"'<b>#?.png", model=HOSTILE, prompt=HOSTILE, size=(1, 1), seed=HOSTILE, sha256="0"
    )
    hostile = read(tmp_path, card)
    harmless = read(tmp_path, Card(file="a", model="b", prompt="c", size=(1, 1), seed=1, sha256=""))
    assert [(tag, list(attributes)) for tag, attributes in hostile.elements] == [
        (tag, list(attributes)) for tag, attributes in harmless.elements
    ]
    assert hostile.found("img")[0]["src"] == "a%22%27%3Cb%3E%23%3F.png"
    assert hostile.found("img")[0]["alt"] == HOSTILE
    assert hostile.text.count(HOSTILE) == 3


def test_the_sheet_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = read(tmp_path, MADE)
    assert not page.found("link")
    named = [attributes.get("src") or attributes.get("href") for _, attributes in page.elements]
    assert {name for name in named if name} == {"flux-schnell-1.webp"}
    assert page.found("meta")[2]["content"] == "script-src 'none'; base-uri 'none'"
