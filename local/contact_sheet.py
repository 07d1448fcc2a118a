"""The contact sheet of the demo: one HTML page with a card for each picture in its folder."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "index.html"

_STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --line: #dcdcd8;
  --text: #1b1b1a; --quiet: #5d5d59; --mount: #ececea; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #20201f; --line: #383836;
  --text: #ededea; --quiet: #a5a5a0; --mount: #121211; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 88rem; padding: 2.5rem 1.25rem; background: var(--page);
  color: var(--text); font: 0.9375rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.625rem; letter-spacing: -0.01em; }
header p { margin: 0.25rem 0 2rem; color: var(--quiet); }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
li { display: flex; flex-direction: column; overflow: hidden; background: var(--card);
  border: 1px solid var(--line); border-radius: 0.75rem; }
li a { display: block; background: var(--mount); }
img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain; }
li div { padding: 1rem 1.125rem 1.125rem; }
h2 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
li p { margin: 0.375rem 0 0; overflow-wrap: anywhere; }
dl { margin: 0.75rem 0 0; display: grid; grid-template-columns: auto 1fr; gap: 0.125rem 0.875rem;
  font-size: 0.8125rem; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
dd.hash { font-family: ui-monospace, monospace; font-size: 0.75rem; line-height: 1.65; }
"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One picture, and how it was made. What is None is not shown."""

    file: str
    """Name of the file beside the sheet."""
    model: str
    prompt: str | None = None
    size: tuple[int, int]
    seed: Any = None
    seconds: float | None = None
    cost: float | None = None
    """US dollars, of the whole prediction."""
    pictures: int = 1
    """Pictures of the same prediction."""
    door: str | None = None
    """The door of the stage by which it was made, if not by Replicate's API."""
    sha256: str


def write_sheet(folder: Path, cards: Sequence[Card]) -> Path:
    """Write the sheet beside the pictures. Returns its path."""
    path = folder / NAME
    path.write_text(_page(cards), encoding="utf-8")
    return path


def _page(cards: Sequence[Card]) -> str:
    models = len({card.model for card in cards})
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="script-src 'none'; base-uri 'none'">
<title>Darkroom: contact sheet of the demo</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Contact sheet</h1>
<p>{_count(len(cards), "picture")} by {_count(models, "model")}, made by <code>make demo</code></p>
</header>
<main>
<ul>
{"".join(map(_card, cards))}</ul>
</main>
</body>
</html>
"""


def _card(card: Card) -> str:
    source = _escaped(quote(card.file))
    shown = card.prompt or f"Picture by {card.model}"
    prompt = f"<p>{_escaped(card.prompt)}</p>\n" if card.prompt else ""
    facts = "".join(
        f"<dt>{name}</dt><dd>{_escaped(value)}</dd>\n" for name, value in _facts(card).items()
    )
    return f"""<li>
<a href="{source}"><img src="{source}" alt="{_escaped(shown)}" loading="lazy"></a>
<div>
<h2>{_escaped(card.model)}</h2>
{prompt}<dl>
{facts}<dt>SHA-256</dt><dd class="hash">{_escaped(card.sha256)}</dd>
</dl>
</div>
</li>
"""


def _facts(card: Card) -> dict[str, object]:
    cost = None
    if card.cost is not None:
        cost = f"${card.cost:.4g}" + (f" for {card.pictures}" if card.pictures > 1 else "")
    facts = {
        "Door": card.door,
        "Size": f"{card.size[0]}x{card.size[1]}",
        "Seed": card.seed,
        "Time": None if card.seconds is None else f"{card.seconds:.1f} s",
        "Cost": cost,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _escaped(value: object) -> str:
    return html.escape(str(value))
