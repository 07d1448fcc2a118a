"""`python -m local.models_page`: writes the catalogue's part of docs/models.md, and its pictures.

The text depends on the entries only, so a test can tell when it is stale. The pictures are what the
emulator draws for the demo's inputs.
"""

from __future__ import annotations

import io
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from darkroom.catalog import Catalogue
from PIL import Image

from emulator.inputs import Given, Source
from emulator.models import Models
from emulator.pictures import render
from local.examples import drawn, example, png
from local.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from darkroom.domain.model import Model

    from emulator.models import Model as EmulatedModel

PAGE = ROOT / "docs" / "models.md"
PICTURES = ROOT / "docs" / "models"
START = "<!-- Made by `make models` from functions/darkroom/catalog. -->\n"
END = "<!-- The end of what `make models` makes. -->\n"
WIDTH = 192
MOST_BYTES = 8192
_QUALITY = 70
_COLUMNS = 100
_TASKS = {
    "text-to-image": "From words",
    "image-editing": "Editing pictures",
    "inpainting": "Repainting and erasing",
    "outpainting": "Extending",
    "upscaling": "Enlarging",
    "background-removal": "Cutting out",
    "face-restoration": "Mending faces",
}
"""Headings, in this order. Tasks not listed come last, under their own names."""
_UNITS = {
    "image": "a picture",
    "second": "a second of the run",
    "megapixel": "a megapixel made",
    "whole_megapixel": "a megapixel made",
    "prediction": "a run",
    "megapixel_in": "a megapixel given",
    "whole_megapixel_in": "a megapixel given",
}


def page(old: str, catalogue: Catalogue) -> str:
    """Return the page with its generated part replaced; the rest is kept."""
    head, _, rest = old.partition(START)
    tail = rest.partition(END)[2]
    return head + START + "\n" + "\n".join(_sections(catalogue)) + END + tail


def picture_name(model: Model) -> str:
    """Return the file name of its picture in docs/models."""
    return f"{model.model.replace('/', '--')}.webp"


def picture(model: Model, emulated_models: Mapping[str, EmulatedModel]) -> bytes:
    """Return the emulator's picture for the model's example, scaled down."""
    given = example(model)
    emulated = emulated_models[model.model]
    sources = [
        Source(name, png(each))
        for name in emulated.pictures
        for each in _listed(given.get(name))
        if isinstance(each, Image.Image)
    ]
    mask = given.get(model.mask or "")
    file, _ = render(
        emulated,
        emulated.with_defaults(given),
        Given(tuple(sources), Source("mask", png(mask)) if mask else None),
        given.get("seed", drawn(model, 999)),
        0,
    )
    with Image.open(io.BytesIO(file.data)) as whole:
        small = whole.resize((WIDTH, round(WIDTH * whole.height / whole.width)))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=6)
    return buffer.getvalue()


def _sections(catalogue: Catalogue) -> Iterator[str]:
    models = [catalogue.model(name) for name in catalogue.names()]
    tasks = list(dict.fromkeys((*_TASKS, *(model.tasks[0] for model in models))))
    for task in tasks:
        of_task = [model for model in models if model.tasks[0] == task]
        if of_task:
            yield f"### {_TASKS.get(task, task)}\n"
        for model in of_task:
            yield _section(model)


def _section(model: Model) -> str:
    lines = [
        f"#### {model.model}\n",
        f"![Drawn by the emulator](models/{picture_name(model)})\n",
        _wrapped(f"{model.description}."),
    ]
    facts = [f"Tasks: {', '.join(model.tasks)}"]
    if model.status:
        successor = model.status.get("successor")
        taken = f"; its successor is {successor}" if successor else ""
        facts.append(f"**Deprecated** as of {model.status['as_of']}{taken}")
    facts.append(f"Inputs: {inputs(model)}")
    if model.mask:
        other = "black" if model.mask_repaints == "white" else "white"
        facts.append(f"Mask: {model.mask_repaints} comes out new, {other} is kept")
    facts.append(f"Price: {price(model)}")
    if model.price_note:
        facts.append(model.price_note.removesuffix("."))
    facts.append(f"Takes about {model.typical_seconds:g} s ({_confidence(model, 'seconds')})")
    if model.sources:
        facts.append(_read(model))
    return "\n".join(lines) + "\n" + "".join(_wrapped(f"{fact}.", "- ") for fact in facts)


def inputs(model: Model) -> str:
    """Format its inputs with defaults, and mark pictures; required inputs come first, in bold."""
    required = model.input_schema.get("required", [])
    properties: Mapping[str, Any] = model.input_schema["properties"]
    ordered = sorted(properties, key=lambda name: properties[name].get("x-order", 0))
    shown = [f"**`{name}`**{_noted(model, name)}" for name in ordered if name in required]
    return ", ".join(
        [*shown, *(f"`{name}`{_noted(model, name)}" for name in ordered if name not in required)]
    )


def _noted(model: Model, name: str) -> str:
    declared = model.input_schema["properties"][name]
    if name == model.mask:
        note = "a mask"
    elif name in model.pictures and declared.get("type") == "array":
        most = declared.get("maxItems")
        note = f"pictures, {most} at most" if most else "pictures"
    elif name in model.pictures:
        note = "a picture"
    else:
        note = _default(declared.get("default"))
    return note and f" ({note})"


def price(model: Model) -> str:
    """Format the price in words."""
    parts = model.price if isinstance(model.price, list) else [model.price or {}]
    return "; plus ".join(_part(part["usd"], _UNITS[part["unit"]], model) for part in parts)


def _part(usd: Any, unit: str, model: Model) -> str:
    if not isinstance(usd, dict):
        return f"{_dollars(usd)} {unit}"
    if "tiers" in usd:
        steps = [f"{_dollars(each)} up to {pixels / 1e6:.3g}" for pixels, each in usd["tiers"]]
        return f"{unit} by its megapixels: {', '.join(steps)}"
    return f"{unit} {_table(usd, model)}"


def _table(usd: dict[str, Any], model: Model) -> str:
    """Format a table by an input, grouping rows of the same price."""
    name = usd["by"]
    default = _default(model.input_schema["properties"][name].get("default"))
    alike: dict[str, list[str]] = {}
    for value, inner in usd["usd"].items():
        amount = f"({_table(inner, model)})" if isinstance(inner, dict) else _dollars(inner)
        shown = "any other" if value == "*" else value
        alike.setdefault(amount, []).append(f"{shown} (the default)" if value == default else shown)
    rows = [f"{' or '.join(values)} {amount}" for amount, values in alike.items()]
    return f"by `{name}`: {', '.join(rows)}"


def _dollars(usd: float) -> str:
    digits = f"{usd:.6f}".rstrip("0")
    return f"${digits if len(digits) > 3 else f'{usd:.2f}'}"


def _default(value: object) -> str:
    if value is None or value in ("", []):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 24 else "…"


def _read(model: Model) -> str:
    said = [
        f"{name} read {source['date']} ({_confidence(model, name)})"
        for name, source in model.sources.items()
    ]
    return ", ".join(said).capitalize()


def _confidence(model: Model, name: str) -> str:
    return f"{model.confidence.get(name, 'unknown')} confidence"


def _wrapped(text: str, mark: str = "") -> str:
    indent = " " * len(mark)
    lines = textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=mark,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + "\n"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def main() -> int:
    """Write the page and the pictures."""
    catalogue = Catalogue.load()
    PAGE.write_text(page(PAGE.read_text("utf-8"), catalogue), "utf-8")
    models = {picture_name(model): model for model in map(catalogue.model, catalogue.names())}
    emulated = {model.full_name: model for model in Models().all}
    PICTURES.mkdir(exist_ok=True)
    for file in PICTURES.glob("*.webp"):
        if file.name not in models:
            file.unlink()
    for name, model in models.items():
        made = picture(model, emulated)
        (PICTURES / name).write_bytes(made)
        print(f"docs/models/{name}  {len(made)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
