"""The minimal input of a catalogue's model: required values only, defaults for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from local.examples import data_uri

if TYPE_CHECKING:
    from darkroom.domain.model import Model

SIZE = (96, 64)


def least(model: Model) -> dict[str, Any]:
    """Return a prompt if the model takes one, and a picture and a mask if it works on one."""
    properties = model.input_schema["properties"]
    given: dict[str, Any] = {"prompt": "a lighthouse"} if "prompt" in properties else {}
    if "text-to-image" in model.tasks:
        return given
    field = model.pictures[0]
    picture = data_uri(Image.radial_gradient("L").resize(SIZE).convert("RGB"))
    given[field] = [picture] if properties[field].get("type") == "array" else picture
    if model.mask and "inpainting" in model.tasks:
        mask = Image.new("L", SIZE)
        mask.paste(255, (SIZE[0] // 2, 0, *SIZE))
        given[model.mask] = data_uri(mask)
    return given
