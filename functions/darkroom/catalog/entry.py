"""What a catalogue entry must be, as types: checked by tests, `ops models` and at synth.

In no function: an entry that got into the asset is one.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from darkroom.domain import strict_json
from darkroom.domain.model import MODEL_NAME, VERSION, InvalidModelError, Model
from darkroom.domain.price import BY_END, HUGE, IN, OTHERS, UNITS, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from darkroom.catalog import Catalogue

MOST_TABLES = 4
"""In a row, each in the one before."""
MOST_TOLD = 3
"""As many things that are wrong are told at once."""
ABSENT: Any = None
"""The default of a field that may be left out, and not be null."""


def _spelt(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(f"must be {expected}")
        return text

    return AfterValidator(check)


Word = Annotated[str, Field(min_length=1)]
Name = Annotated[str, _spelt(MODEL_NAME, "owner/name")]
Digits = Annotated[str, _spelt(VERSION, "64 hex digits")]
Day = Annotated[str, _spelt(re.compile("20[0-9]{2}-[01][0-9]-[0-3][0-9]"), "a day, yyyy-mm-dd")]
Usd = Annotated[float, Field(ge=0, le=HUGE)]
Size = Annotated[float, Field(gt=0, le=HUGE)]
Pixels = Annotated[int, Field(gt=0, le=HUGE)]


class Checked(BaseModel):
    """An object of an entry: nothing but its fields, each exactly of its type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class UsdTable(Checked):
    """Prices by the value of an input."""

    by: str
    usd: dict[str, UsdAmount] = Field(min_length=1)


class SizeTable(Checked):
    """Pixels of a picture that is given, by the value of an input."""

    by: str
    pixels: dict[str, SizeAmount] = Field(min_length=1)


class AreaTable(Checked):
    """Pixels of a picture that is made, by the value of an input."""

    by: str
    pixels: dict[str, AreaAmount] = Field(min_length=1)


class Area(Checked):
    """The product of two inputs, each rounded up to a multiple of `step`."""

    of: list[str] = Field(min_length=2, max_length=2)
    step: Size = 1


class Tiers(Checked):
    """Prices of one picture by its size."""

    tiers: list[Annotated[tuple[Pixels, Usd], Field(strict=False)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if any(one[0] >= other[0] or one[1] > other[1] for one, other in pairwise(self.tiers)):
            raise ValueError("pixels and usd must both rise")
        return self


def _kind(amount: object) -> str:
    """Which of an amount's forms is meant, so that what is wrong is told of that one alone."""
    names = amount.keys() if isinstance(amount, dict) else set()
    return next((each for each in ("by", "tiers", "of") if each in names), "number")


UsdAmount = Annotated[
    Annotated[Usd, Tag("number")] | Annotated[UsdTable, Tag("by")], Discriminator(_kind)
]
SizeAmount = Annotated[
    Annotated[Size, Tag("number")] | Annotated[SizeTable, Tag("by")], Discriminator(_kind)
]
AreaAmount = Annotated[
    Annotated[Size, Tag("number")] | Annotated[Area, Tag("of")] | Annotated[AreaTable, Tag("by")],
    Discriminator(_kind),
]
PriceAmount = Annotated[
    Annotated[Usd, Tag("number")] | Annotated[UsdTable, Tag("by")] | Annotated[Tiers, Tag("tiers")],
    Discriminator(_kind),
]


class PricePart(Checked):
    """What one thing costs; domain/price.py says what the units are."""

    unit: str
    usd: PriceAmount
    most: Size = ABSENT

    @field_validator("unit")
    @classmethod
    def _is_known(cls, unit: str) -> str:
        if unit not in UNITS:
            raise ValueError(f"must be one of {', '.join(UNITS)}")
        return unit

    @model_validator(mode="after")
    def _fits_its_unit(self) -> Self:
        if self.most is not ABSENT and self.unit != "megapixel":
            raise ValueError("only a price by the megapixel has a most")
        if isinstance(self.usd, Tiers) and self.unit != "image":
            raise ValueError("only a price by the image has tiers")
        return self


class MostPixels(Checked):
    """Of one picture."""

    given: SizeAmount = Field(ABSENT, alias="in")
    made: AreaAmount = Field(ABSENT, alias="out")


class Counts(Checked):
    """The input that says how many pictures are made, and beside which values of others."""

    input: str
    where: dict[str, Any] = {}


class TakenBack(Checked):
    """How the model's maker has taken it back."""

    state: Literal["deprecated"]
    as_of: Day
    successor: Name = ABSENT


class Source(Checked):
    """Where something was read."""

    from_: str = Field(alias="from")
    date: Day


class InputSchema(BaseModel):
    """Any object schema."""

    properties: dict[str, Any]


class Entry(Checked):
    """A file of the catalogue. What the fields mean: `domain.model.Model`, docs/models.md."""

    model: Name
    task: Word = ABSENT
    tasks: list[Word] = Field(ABSENT, min_length=1)
    official: bool
    version: Digits | None = None
    input_schema: InputSchema
    output: Literal["array", "string"]
    typical_seconds: Size
    price: Annotated[
        list[PricePart],
        BeforeValidator(lambda price: price if isinstance(price, list) else [price]),
    ] = Field(min_length=1)
    most_pixels: MostPixels = Field(default_factory=lambda: MostPixels.model_validate({}))
    counts: Annotated[
        Counts, BeforeValidator(lambda said: {"input": said} if isinstance(said, str) else said)
    ] = ABSENT
    pictures: list[str] = []
    mask: str = ABSENT
    mask_repaints: Literal["white", "black"] = ABSENT
    status: TakenBack = ABSENT
    sources: dict[Literal["schema", "price"], Source] = {}
    confidence: dict[Literal["schema", "price", "seconds"], Literal["high", "medium", "low"]] = {}
    description: str = ""
    price_note: str = ""
    known_versions: list[Digits] = []
    version_aliases: dict[Digits, str] = {}
    deadline_seconds: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _has_tasks(self) -> Self:
        if (self.task is ABSENT) == (self.tasks is ABSENT):
            raise ValueError("needs 'tasks', or 'task', the older name of 'tasks': one of them")
        return self

    @model_validator(mode="after")
    def _is_run_in_one_way(self) -> Self:
        if self.official is (self.version is not None):
            raise ValueError("an official model has no pinned version, any other has one")
        if self.version is None and self.version_aliases:
            raise ValueError("version aliases need a pinned version")
        return self

    @model_validator(mode="after")
    def _can_be_priced(self) -> Self:
        units = [part.unit for part in self.price]
        if len({*units}) < len(units) or len({*units} & {*BY_END}) > 1:
            raise ValueError(
                f"price: parts, each of another unit, and one at most of {', '.join(BY_END)}"
            )
        if {*units} & {*IN} and not (self.most_pixels.given is not ABSENT and self.pictures):
            raise ValueError("price: of pictures given only with `pictures` and most_pixels.in")
        return self

    @model_validator(mode="after")
    def _names_inputs_that_there_are(self) -> Self:
        inputs = self.input_schema.properties
        named = [*self.pictures, *([self.mask] if self.mask is not ABSENT else [])]
        if missing := [name for name in named if name not in inputs]:
            raise ValueError(f"input_schema has no input {missing[0]!r}")
        if self.counts is not ABSENT:
            _check_inputs("counts", (self.counts.input, *self.counts.where), inputs)
        for part in self.price:
            _check_amount("price", part.usd, inputs)
        for amount in (self.most_pixels.given, self.most_pixels.made):
            _check_amount("most_pixels", amount, inputs)
        return self


def _check_amount(field: str, amount: object, inputs: Mapping[str, Any], depth: int = 0) -> None:
    """Raise ValueError where a table or an area is of inputs or values that the schema has not."""
    if isinstance(amount, Area):
        _check_inputs(field, amount.of, inputs)
        if not all(_has_most(inputs[name]) for name in amount.of):
            raise ValueError(f"{field}: an area is of inputs that have a maximum")
    if not isinstance(amount, UsdTable | SizeTable | AreaTable):
        return
    if depth == MOST_TABLES:
        raise ValueError(f"{field}: tables, at most four in a row")
    _check_inputs(field, (amount.by,), inputs)
    enum = inputs[amount.by].get("enum")
    known = {OTHERS, *map(as_text, enum)} if isinstance(enum, list) else None
    rows: Mapping[str, object] = amount.usd if isinstance(amount, UsdTable) else amount.pixels
    for value, inner in rows.items():
        if known is not None and value not in known:
            raise ValueError(f"{field}: the input {amount.by} is never {value!r}")
        _check_amount(field, inner, inputs, depth + 1)


def _check_inputs(field: str, names: Iterable[str], inputs: Mapping[str, Any]) -> None:
    for name in names:
        if type(inputs.get(name)) is not dict:
            raise ValueError(f"{field}: input_schema has no input {name!r}")


def _has_most(declared: Mapping[str, Any]) -> bool:
    most = declared.get("maximum")
    return isinstance(most, int | float) and not isinstance(most, bool) and 0 < most <= HUGE


def read(data: object) -> Model:
    """The model of an entry's content. Raises InvalidModelError, which names what is wrong."""
    try:
        Entry.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        told = [_told(each["loc"], each["msg"]) for each in found[:MOST_TOLD]]
        raise InvalidModelError("; ".join(told)) from None
    return Model.from_dict(cast("Mapping[str, Any]", data))


def _told(place: tuple[int | str, ...], text: str) -> str:
    text = text.removeprefix("Value error, ")
    return f"{'.'.join(map(str, place))}: {text}" if place else text


def check(catalogue: Catalogue, names: Iterable[str] | None = None) -> None:
    """Raise InvalidModelError for the first file that holds no entry, of these models or of all."""
    for name in catalogue.names() if names is None else names:
        path = catalogue.file(name)
        try:
            read(strict_json.loads(path.read_bytes()))
        except ValueError as error:
            raise InvalidModelError(f"{path.name}: {error}") from None
        catalogue.model(name)
