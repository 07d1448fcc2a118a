"""Models of a deployment: their inputs, their prices, and values for them from text."""

from __future__ import annotations

import difflib
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from darkroom_cli.errors import RefusedError, UsageError
from darkroom_cli.predictions import pages
from darkroom_cli.text import short, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom_cli.service import Service

MOST_MODELS = 1000
PREFERRED = {
    "image-editing": "black-forest-labs/flux-kontext-pro",
    "inpainting": "black-forest-labs/flux-fill-dev",
    "upscaling": "nightmareai/real-esrgan",
}
"""The model for a task if the user names none and the deployment has it."""
UNITS = {
    "image": "picture",
    "second": "second",
    "megapixel": "megapixel",
    "whole_megapixel": "megapixel",
    "prediction": "run",
    "megapixel_in": "input megapixel",
    "whole_megapixel_in": "input megapixel",
}
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class ValueProblem(Exception):  # noqa: N818 - the caller makes an error of it, with its place
    """Why a text is no value of an input."""


@dataclass(frozen=True)
class Input:
    """One input of a model, by its schema."""

    name: str
    kind: str
    """JSON Schema's type; empty if it allows several."""
    described: Mapping[str, Any]
    choices: tuple[object, ...]
    required: bool
    file: bool
    """Whether it takes a file: `@path` is uploaded, a URL is passed on."""

    def value(self, text: str) -> object:
        """Return the value that the text stands for. Raises ValueProblem."""
        value = self._typed(text)
        self.check(value)
        return value

    def _typed(self, text: str) -> object:
        stripped = text.strip()
        match self.kind:
            case "integer":
                return _integer(stripped)
            case "number":
                return _number(stripped)
            case "boolean":
                if stripped.lower() not in _TRUE | _FALSE:
                    raise ValueProblem("is true or false")
                return stripped.lower() in _TRUE
            case "array":
                value = _json(stripped) if stripped.startswith("[") else [text]
                if not isinstance(value, list):
                    raise ValueProblem("is a JSON array, or one value of it")
                return value
            case "object":
                value = _json(stripped)
                if not isinstance(value, dict):
                    raise ValueProblem("is a JSON object")
                return value
            case "string":
                return text
        return loose(text)

    def check(self, value: object) -> None:
        """Compare a value with type, choices and bounds. Raises ValueProblem.

        The service checks the rest; this finds most mistakes of a hundred rows before the first.
        """
        if value is None and self.described.get("nullable"):
            return
        kinds = {
            "integer": (int,),
            "number": (int, float),
            "boolean": (bool,),
            "string": (str,),
            "array": (list,),
            "object": (dict,),
        }.get(self.kind)
        wrong_bool = isinstance(value, bool) and self.kind != "boolean"
        if kinds and (not isinstance(value, kinds) or wrong_bool):
            raise ValueProblem(f"is of type {self.kind}")
        if self.choices and value not in self.choices:
            raise ValueProblem(f"is one of {self.allowed()}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.described.get("minimum"), self.described.get("maximum")
            if isinstance(low, int | float) and value < low:
                raise ValueProblem(f"is {low:g} or more")
            if isinstance(high, int | float) and value > high:
                raise ValueProblem(f"is {high:g} or less")

    def allowed(self) -> str:
        """Describe the values: choices, a range, or the type."""
        low, high = self.described.get("minimum"), self.described.get("maximum")
        if self.choices:
            return ", ".join(short(choice, 40) for choice in self.choices[:40])
        if isinstance(low, int | float) and isinstance(high, int | float):
            return f"{low:g} to {high:g}"
        if isinstance(low, int | float):
            return f"{low:g} or more"
        if isinstance(high, int | float):
            return f"{high:g} or less"
        return ""


@dataclass(frozen=True)
class Model:
    """A model of the deployment, or an alias or version whose inputs are unknown here."""

    reference: str
    """What a create names it by."""
    inputs: tuple[Input, ...] | None
    """None: unknown, so only the service checks."""
    body: Mapping[str, Any]

    @property
    def details(self) -> Mapping[str, Any]:
        """Return the object `darkroom`."""
        found = self.body.get("darkroom")
        return found if isinstance(found, dict) else {}

    @property
    def tasks(self) -> list[str]:
        """Return what it can do."""
        found = self.details.get("tasks")
        return [str(task) for task in found] if isinstance(found, list) else []

    def find(self, name: str) -> Input:
        """Return the input of this name. Raises ValueProblem, with the nearest name."""
        if self.inputs is None:
            return Input(name, "", {}, (), required=False, file=True)
        for one in self.inputs:
            if one.name == name:
                return one
        near = difflib.get_close_matches(name, [one.name for one in self.inputs], 1)
        hint = f"; {near[0]} is" if near else ""
        raise ValueProblem(f"is no input of {self.reference}{hint}")

    def missing(self, given: Mapping[str, object]) -> list[str]:
        """Return the names of required inputs that are not given."""
        return [one.name for one in self.inputs or () if one.required and one.name not in given]

    def picture(self, *, mask: bool = False) -> Input:
        """Return the input that takes the picture, or its mask. Raises UsageError."""
        if self.inputs is None:
            raise UsageError(
                f"The inputs of {self.reference} are not known here: name them with -i of "
                "`darkroom generate`."
            )
        for one in self.inputs:
            if one.file and ("mask" in one.name) == mask:
                return one
        what = "mask" if mask else "picture"
        raise UsageError(
            f"{visible(self.reference)} takes no {what}: `darkroom models` shows the tasks of each."
        )


def model(service: Service, reference: str) -> Model:
    """Find a model by owner/name, owner/name:version, its name alone if no other has it, or an
    alias of the deployment.

    Raises UsageError, RefusedError or UnreachableError.
    """
    name, _, version = reference.partition(":")
    if _NAME.fullmatch(name):
        try:
            body = service.get(f"/v1/models/{name}")
            schema = _version(service, name, version) if version else body.get("latest_version")
        except RefusedError as error:
            if error.status != 404:
                raise
            # An alias may have a slash too, and an open deployment runs models it does not list.
            return Model(reference, None, {})
        return _model(reference, body, schema)
    found = [one for one in models(service) if one.reference.rpartition("/")[2] == reference]
    if len(found) > 1:
        names = ", ".join(visible(one.reference) for one in found)
        raise UsageError(f"{visible(reference)} may be any of {names}.")
    return found[0] if found else Model(reference, None, {})


def models(service: Service) -> Iterator[Model]:
    """Yield all models. Raises RefusedError or UnreachableError."""
    for body in pages(service, "/v1/models", {}, MOST_MODELS):
        name = f"{body.get('owner')}/{body.get('name')}"
        if _NAME.fullmatch(name):
            yield _model(name, body, body.get("latest_version"))


def for_task(service: Service, task: str) -> Model:
    """Return the model for a task that the user leaves open. Raises UsageError, RefusedError or
    UnreachableError."""
    able = [one for one in models(service) if task in one.tasks and not one.details.get("status")]
    if not able:
        raise UsageError(f"This deployment has no model for {task}.")
    return next((one for one in able if one.reference == PREFERRED.get(task)), able[0])


def price(details: Mapping[str, Any]) -> str:
    """Describe the price of a model, such as `$0.04 / picture`."""
    said = details.get("price")
    parts = [_price(one) for one in (said if isinstance(said, list) else [said])]
    return " + ".join(parts) if said else "unknown"


def dollars(amount: float) -> str:
    """Return an amount with as many digits as it needs, at least cents."""
    text = f"{amount:.6f}".rstrip("0")
    whole, _, digits = text.partition(".")
    return f"${whole}.{digits:0<2}"


def money(amount: object) -> str:
    """Return an amount as `dollars` does; empty for what is no number."""
    return dollars(amount) if isinstance(amount, int | float) else ""


def _price(said: object) -> str:
    if not isinstance(said, dict):
        return "unknown"
    unit = UNITS.get(str(said.get("unit")), short(said.get("unit"), 30))
    return f"{_amount(said.get('usd'))} / {unit}"


def _amount(usd: object) -> str:
    """Describe an amount, or the amounts by an input's value or by size, as a range."""
    amounts = sorted(_amounts(usd, 10))
    if not amounts:
        return "unknown"
    low, high = amounts[0], amounts[-1]
    by = f" by {short(usd['by'], 40)}" if isinstance(usd, dict) and "by" in usd else ""
    return dollars(low) if low == high else f"{dollars(low)} to {dollars(high)}{by or ' by size'}"


def _amounts(usd: object, depth: int) -> Iterator[float]:
    if isinstance(usd, int | float):
        yield float(usd)
    elif isinstance(usd, dict) and depth:
        tiers, table = usd.get("tiers"), usd.get("usd")
        for tier in tiers if isinstance(tiers, list) else ():
            if isinstance(tier, list) and len(tier) == 2:
                yield from _amounts(tier[1], depth - 1)
        for each in table.values() if isinstance(table, dict) else ():
            yield from _amounts(each, depth - 1)


def _version(service: Service, name: str, version: str) -> object:
    return service.get(f"/v1/models/{name}/versions/{quote(version, safe='')}")


def _model(reference: str, body: Mapping[str, Any], version: object) -> Model:
    """Read the schema in a version's body; without one that can be read, inputs are unknown."""
    found: object = version
    for name in ("openapi_schema", "components", "schemas"):
        found = found.get(name) if isinstance(found, dict) else None
    components = found if isinstance(found, dict) else {}
    schema = components.get("Input")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict):
        return Model(reference, None, body)
    required = schema.get("required")
    needed = {str(name) for name in required} if isinstance(required, list) else set()
    inputs = [
        _input(str(name), said, components, str(name) in needed)
        for name, said in properties.items()
        if isinstance(said, dict)
    ]
    inputs.sort(key=lambda one: _order(one.described))
    return Model(reference, tuple(inputs), body)


def _order(described: Mapping[str, Any]) -> float:
    order = described.get("x-order")
    return float(order) if isinstance(order, int | float) else math.inf


def _input(
    name: str,
    said: dict[str, Any],
    components: Mapping[str, Any],
    required: bool,  # noqa: FBT001
) -> Input:
    described = dict(said)
    for part in said.get("allOf") or ():
        reference = part.get("$ref") if isinstance(part, dict) else None
        component = components.get(str(reference).rpartition("/")[2])
        described = {**(component if isinstance(component, dict) else {}), **described}
    kind, choices, items = described.get("type"), described.get("enum"), described.get("items")
    takes = items if isinstance(items, dict) and kind == "array" else described
    return Input(
        name,
        kind if isinstance(kind, str) else "",
        described,
        tuple(choices) if isinstance(choices, list) else (),
        required,
        takes.get("format") == "uri",
    )


def loose(text: str) -> object:
    """Return the number, truth value or JSON that a text is, else the text: for inputs whose type
    is unknown."""
    try:
        return _json(text)
    except ValueProblem:
        return text


def _json(text: str) -> object:
    def refuse(name: str) -> object:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise ValueProblem("is not JSON") from None


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueProblem("is a whole number") from None


def _number(text: str) -> int | float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueProblem("is a number")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def given_values(
    model: Model, pairs: list[tuple[str, str]], upload: Callable[[str], str]
) -> dict[str, object]:
    """Return the input made of `key=value` pairs; a key given twice makes a list.

    `upload` turns the path after an `@` into a URL. Raises UsageError.
    """
    given: dict[str, object] = {}
    for name, text in pairs:
        try:
            one = model.find(name)
            value = file_value(one, text, upload) if is_file(one, text) else one.value(text)
        except ValueProblem as problem:
            raise UsageError(f"{visible(name)} {problem}.") from None
        before = given.get(name)
        if isinstance(before, list) and isinstance(value, list):
            value = [*before, *value]
        elif name in given:
            raise UsageError(f"{visible(name)} is given twice, and takes one value.")
        given[name] = value
    return given


def is_file(one: Input, text: str) -> bool:
    """Whether the text names a file to upload. A text input keeps its `@`."""
    return one.file and text.startswith("@")


def file_value(one: Input, text: str, take: Callable[[str], object]) -> object:
    """Return the value that names the file after the `@`; `take` uploads the file, or notes it."""
    taken = take(text[1:])
    return [taken] if one.kind == "array" else taken
