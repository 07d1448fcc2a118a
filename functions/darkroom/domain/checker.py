"""Validates an input against its model's schema, and a body against ours.

The schema of an open model comes from its provider, so no schema may make the check raise or take
long. Unknown keywords are ignored; `unseen` lists them.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from darkroom.domain import strict_json
from darkroom.domain.errors import InvalidInputError
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_PROBLEMS = 20
"""Maximum of problems reported, so that a hostile input cannot inflate the answer."""
MAX_STEPS = 30_000
"""Maximum cost of one check, in calls of `_problems`: some 0.2 s. Schema and input may both come
from outside, and each can multiply the cost of the other."""
MAX_SCHEMA_DEPTH = 16
MOST_UNSEEN = 100
"""Maximum number of ignored keywords that `unseen` returns."""
SECRET_NAMES = frozenset(
    {
        *("api_key", "api_token", "access_token", "auth_token", "bearer_token", "secret_key"),
        *("client_secret", "password", "aws_access_key_id", "aws_secret_access_key"),
        *("openai_api_key", "openai_key", "anthropic_api_key", "google_api_key", "gemini_api_key"),
        *("hf_api_token", "hf_token", "hf_api_key", "huggingface_token", "huggingface_api_token"),
        *("replicate_api_token", "replicate_api_key", "replicate_token", "github_token"),
        *("civitai_token", "civitai_api_token", "civitai_api_key", "civitai_key", "fal_key"),
        *("stability_api_key", "elevenlabs_api_key", "wandb_api_key", "bfl_api_key"),
    }
)
"""Names of inputs that are always secrets, in lower case with underscores."""

_SECRET = "Must be left out: it is a secret, and inputs are stored, shown and sent to webhooks"  # noqa: S105
_HUGE = 1e300
_NAMES_A_STEP = 20
"""Names or choices of a schema's list that cost about as much as one step."""
_TEXT_A_STEP = 200
"""Characters read or written that cost as much as one step."""
_TRIES_A_STEP = 500
"""Positions tried by a pattern's search that cost as much as one step."""
_MOST_TRIES = 1_000_000
_LONGEST_PATTERN = 200
_LONGEST_NAME = 100
"""Maximum characters of a name or choice that are quoted in an answer."""
_LONGEST_CHOICES = 1000
_MOST_EITHER = 8
"""Maximum branches, and names in each, that one line lists."""

# URLs that the provider can fetch or decode; any other would only fail after it has been paid for.
_URI = re.compile(r"https?://[^\s/?#]\S*\Z|\s*+data:[^,]{0,999},", re.IGNORECASE)


@immutable
class InvalidField:
    """One problem of an input, in the vocabulary of gojsonschema, which the provider uses."""

    type: str
    field: str
    """`input`, or `input.` and the path below it."""
    description: str


class _Steps:
    """Remaining cost that a check may use."""

    __slots__ = ("left",)

    def __init__(self, most: float) -> None:
        self.left = most

    def take(self, number: int = 1) -> None:
        """Raise _TooManyStepsError if less is left."""
        self.left -= number
        if self.left < 0:
            raise _TooManyStepsError


class _TooManyStepsError(Exception):
    """The check would take too long."""


def validate_input(schema: Mapping[str, Any], value: object) -> list[InvalidField]:
    """Return the problems of an input: those that the provider would report, those that would only
    fail later, and secrets; at most 20.

    Unknown names are allowed, as the provider allows them. A schema from outside never makes this
    raise: unknown keywords are ignored, and exceeding `MAX_STEPS` is a problem itself.
    """
    if not isinstance(value, dict):
        return [_wrong_type("object", value, "")]
    try:
        return list(islice(_input_problems(schema, value), MAX_PROBLEMS))
    except _TooManyStepsError:
        text = f"Cannot be checked against the model's schema in {MAX_STEPS} steps"
        return [InvalidField("too_complex", "input", f"{text}; send fewer values")]


def validate_body(schema: Mapping[str, Any], body: object) -> list[InvalidField]:
    """Validate a body of our own API likewise. Fields are named from its top, and names outside the
    schema are not allowed there."""
    if not isinstance(body, dict):
        return [InvalidField("invalid_type", "", _wrong_type("object", body, "").description)]
    problems = chain(
        # Our own schemas have no branches, so the check costs as much as the body's size.
        _problems(schema, body, "", 0, _Steps(math.inf)),
        (additional(name) for name in body if name not in schema["properties"]),
    )
    return [
        InvalidField(p.type, p.field.removeprefix("input").removeprefix("."), p.description)
        for p in islice(problems, MAX_PROBLEMS)
    ]


def unseen(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the keywords that a check ignores, with their place in the input (`[]` for any item of
    a list); at most 100."""
    return list(islice(_unseen(schema, "input", 0, _Steps(math.inf)), MOST_UNSEEN))


def is_secret(name: str, schema: object) -> bool:
    """Whether an input is a secret, by its name or by its schema."""
    branches = [as_dict(schema)]
    branches += [as_dict(each) for word in BRANCHES for each in as_list(branches[0].get(word))]
    return _names_secret(name) or any(map(_says_secret, branches))


def additional(name: str) -> InvalidField:
    """Report a name that is not allowed. It is quoted only if it is a plain word."""
    shown = name if name.isascii() and name.isprintable() and len(name) <= 100 else "(unnamed)"
    text = f"Additional property {shown} is not allowed"
    return InvalidField("additional_property_not_allowed", "", text)


def invalid(fields: list[InvalidField]) -> InvalidInputError:
    """Return the error for an invalid input, in the provider's form."""
    return InvalidInputError(
        problem_detail(fields), [(f.type, f.field, f.description) for f in fields]
    )


def problem_detail(fields: list[InvalidField]) -> str:
    """Return the provider's `detail` for these problems, one line each.

    A problem of the whole body has no field, so its line has no colon.
    """
    lines = (f"{f.field}: {f.description}" if f.field else f.description for f in fields)
    return "".join(f"- {line}\n" for line in lines)


# Tolerant access to a schema from outside


def as_dict(value: object) -> dict[str, Any]:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return the value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> float | None:
    """Return the value if it is a number that supports comparison and arithmetic, otherwise
    None."""
    # The bound also excludes NaN, the infinities, and integers that exceed a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _HUGE:
        return None
    return value


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema allows; empty if it declares none, or an unknown one."""
    declared = schema.get("type")
    names = declared if isinstance(declared, list) else [declared]
    known = [name for name in names if isinstance(name, str) and name in _JSON_TYPES]
    return known if len(known) == len(names) else []


def is_a(value: object, name: str) -> bool:
    """Whether a value has this JSON Schema type."""
    if name in {"integer", "number"}:
        # In JSON Schema, 1.0 is an integer and true is not a number.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (name == "number" or cast("float", value) % 1 == 0)
    return isinstance(value, _JSON_TYPES[name])


_JSON_TYPES: dict[str, Any] = {
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": float,
    "string": str,
    "array": list,
    "object": dict,
}


# The check


def _input_problems(schema: Mapping[str, Any], value: dict[str, Any]) -> Iterator[InvalidField]:
    secrets = [_field(name) for name, item in value.items() if item and _names_secret(name)]
    yield from (InvalidField("secret", field, _SECRET) for field in secrets)
    for problem in _problems({**schema, "type": "object"}, value, "", 0, _Steps(MAX_STEPS)):
        if problem.type != "secret" or problem.field not in secrets:
            yield problem
    prompt = value.get("prompt")
    needed = "prompt" in as_list(schema.get("required"))
    if needed and isinstance(prompt, str) and not prompt.strip():
        yield InvalidField("string_gte", "input.prompt", "prompt must not be empty")
    for name, item in value.items():
        if strict_json.has_nul([name, item]):
            # An unknown name is not quoted, since it may be anything.
            known = name in as_dict(schema.get("properties"))
            yield InvalidField(
                "format", _field(_shown(name) if known else ""), "Must not contain NUL characters"
            )


def _names_secret(name: str) -> bool:
    return len(name) < _LONGEST_NAME and name.lower().replace("-", "_") in SECRET_NAMES


def _says_secret(schema: Mapping[str, Any]) -> bool:
    return schema.get("format") == "password" or schema.get("x-cog-secret") is True


def _problems(
    schema: Mapping[str, Any], value: object, path: str, depth: int, steps: _Steps
) -> Iterator[InvalidField]:
    steps.take()
    if depth > MAX_SCHEMA_DEPTH or (value is None and schema.get("nullable") is True):
        return
    steps.take(len(as_list(schema.get("type"))) // _NAMES_A_STEP)
    types = types_of(schema)
    if types and not any(is_a(value, name) for name in types):
        yield _wrong_type(types[0] if len(types) == 1 else f"[{','.join(types[:9])}]", value, path)
        return
    yield from _combined_problems(schema, value, path, depth, steps)
    yield from _choice_problems(schema, value, path, steps)
    if isinstance(value, str):
        yield from _string_problems(schema, value, path, steps)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(schema, value, path, steps)
    elif isinstance(value, list):
        yield from _list_problems(schema, value, path, depth, steps)
    elif isinstance(value, dict):
        yield from _object_problems(schema, value, path, depth, steps)


def _object_problems(
    schema: Mapping[str, Any], value: dict[str, Any], path: str, depth: int, steps: _Steps
) -> Iterator[InvalidField]:
    required, properties = as_list(schema.get("required")), as_dict(schema.get("properties"))
    dependent = as_dict(schema.get("dependentRequired"))
    steps.take((len(required) + len(properties) + len(dependent)) // _NAMES_A_STEP)
    for name in required:
        if isinstance(name, str) and name not in value:
            yield InvalidField("required", _field(path), f"{_shown(name)} is required")
    for name, others in dependent.items():
        if name in value:
            steps.take(len(as_list(others)) // _NAMES_A_STEP)
            for other in as_list(others):
                if isinstance(other, str) and other not in value:
                    text = f"Has a dependency on {_shown(other)}"
                    yield InvalidField("missing_dependency", _field(_join(path, name)), text)
    for name, inner in properties.items():
        if name in value:
            yield from _problems(as_dict(inner), value[name], _join(path, name), depth + 1, steps)


def _list_problems(
    schema: Mapping[str, Any], value: list[Any], path: str, depth: int, steps: _Steps
) -> Iterator[InvalidField]:
    low, high = as_number(schema.get("minItems")), as_number(schema.get("maxItems"))
    if low is not None and len(value) < low:
        text = f"Array must have at least {low:.10g} items"
        yield InvalidField("array_min_items", _field(path), text)
    if high is not None and len(value) > high:
        text = f"Array must have at most {high:.10g} items"
        yield InvalidField("array_max_items", _field(path), text)
    if schema.get("uniqueItems") is True:
        seen: dict[object, int] = {}
        for index, item in enumerate(value):
            first = seen.setdefault(_identity(item, steps), index)
            if first != index:
                text = f"array items[{first},{index}] must be unique"
                yield InvalidField("unique", _field(path), text)
                break
    items = as_dict(schema.get("items"))
    for index, item in enumerate(value):
        yield from _problems(items, item, _join(path, str(index)), depth + 1, steps)


def _identity(value: object, steps: _Steps) -> object:
    """Return a key that only equal JSON values share: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, list):
        steps.take(len(value) // _NAMES_A_STEP)
        return "array", *(_identity(item, steps) for item in value)
    if isinstance(value, dict):
        steps.take(len(value) // _NAMES_A_STEP)
        return "object", frozenset((name, _identity(item, steps)) for name, item in value.items())
    return value


BRANCHES = ("allOf", "anyOf", "oneOf")
"""Keywords with a list of schemas for the same value."""


def _combined_problems(
    schema: Mapping[str, Any], value: object, path: str, depth: int, steps: _Steps
) -> Iterator[InvalidField]:
    for inner in as_list(schema.get("allOf")):
        yield from _problems(as_dict(inner), value, path, depth + 1, steps)
    any_of, one_of = as_list(schema.get("anyOf")), as_list(schema.get("oneOf"))
    if any_of:
        tried = _tried(any_of, value, path, depth, steps)
        yield from _none_fits("number_any_of", "at least one schema (anyOf)", tried, path)
    if one_of:
        all_tried = list(_tried(one_of, value, path, depth, steps))
        wanted = "one and only one schema (oneOf)"
        yield from _none_fits("number_one_of", wanted, all_tried, path)
        fitting = [inner for inner, found in all_tried if not found]
        # A branch that is not understood completely may not match at all.
        if len(fitting) > 1 and sum(_is_seen(inner, depth, steps) for inner in fitting) > 1:
            yield InvalidField("number_one_of", _field(path), f"Must validate {wanted}")
    inner = schema.get("not")
    if (
        isinstance(inner, dict)
        and next(_problems(inner, value, path, depth + 1, steps), None) is None
        and _is_seen(inner, depth, steps)
    ):
        yield InvalidField("number_not", _field(path), "Must not validate the schema (not)")


def _tried(
    branches: list[Any], value: object, path: str, depth: int, steps: _Steps
) -> Iterator[tuple[dict[str, Any], list[InvalidField]]]:
    """Yield each branch with its problems."""
    for branch in branches:
        inner = as_dict(branch)
        problems = _problems(inner, value, path, depth + 1, steps)
        yield inner, list(islice(problems, MAX_PROBLEMS))


def _none_fits(
    kind: str,
    wanted: str,
    tried: Iterable[tuple[dict[str, Any], list[InvalidField]]],
    path: str,
) -> Iterator[InvalidField]:
    """Yield nothing if a branch has no problems, otherwise the problems of the branch with the
    fewest."""
    branches: list[dict[str, Any]] = []
    fewest: list[InvalidField] = []
    for inner, found in tried:
        if not found:
            return
        branches.append(inner)
        if not fewest or len(found) < len(fewest):
            fewest = found
    yield InvalidField(kind, _field(path), f"Must validate {wanted}")
    either = _either(branches)
    if either:
        yield InvalidField("required", _field(path), f"{either} is required")
    else:
        yield from fewest


def _either(branches: list[dict[str, Any]]) -> str:
    """Return `a or b` if the branches differ only in their `required`; otherwise an empty
    string."""
    required = [as_list(inner.get("required")) for inner in branches]
    plain = all(inner.keys() == {"required"} for inner in branches)
    if not plain or len(required) > _MOST_EITHER or max(map(len, required)) > _MOST_EITHER:
        return ""
    return " or ".join(" and ".join(_shown(str(name)) for name in names) for names in required)


def _choice_problems(
    schema: Mapping[str, Any], value: object, path: str, steps: _Steps
) -> Iterator[InvalidField]:
    allowed = as_list(schema.get("enum"))
    # Comparing strings and numbers is cheap, but lists and objects may differ only at their end.
    steps.take(len(allowed) // (1 if isinstance(value, list | dict) else _NAMES_A_STEP))
    if allowed and not any(_equal(value, choice) for choice in allowed):
        shown = _choices(allowed)
        steps.take(len(shown) // _TEXT_A_STEP)
        text = f"{path or 'input'} must be one of the following: {shown}"
        yield InvalidField("enum", _field(path), text)
    if "const" in schema and not _equal(value, schema["const"]):
        text = f"{path or 'input'} does not match: {_choice(schema['const'])}"
        yield InvalidField("const", _field(path), text)


def _equal(value: object, choice: object) -> bool:
    return value == choice and isinstance(value, bool) is isinstance(choice, bool)


def _choices(allowed: list[Any]) -> str:
    """Format the choices as JSON, up to the length that an answer allows."""
    shown: list[str] = []
    room = _LONGEST_CHOICES
    for choice in allowed:
        if room < 0:
            shown.append("…")
            break
        shown.append(_choice(choice))
        room -= len(shown[-1])
    return ", ".join(shown)


def _choice(choice: object) -> str:
    if isinstance(choice, list | dict):
        return "[…]" if isinstance(choice, list) else "{…}"
    return json.dumps(_shown(choice) if isinstance(choice, str) else choice, ensure_ascii=False)


def _string_problems(
    schema: Mapping[str, Any], value: str, path: str, steps: _Steps
) -> Iterator[InvalidField]:
    if value and _says_secret(schema):
        yield InvalidField("secret", _field(path), _SECRET)
    low, high = as_number(schema.get("minLength")), as_number(schema.get("maxLength"))
    if low is not None and len(value) < low:
        text = f"String length must be greater than or equal to {low:.10g}"
        yield InvalidField("string_gte", _field(path), text)
    if high is not None and len(value) > high:
        text = f"String length must be less than or equal to {high:.10g}"
        yield InvalidField("string_lte", _field(path), text)
    if schema.get("format") == "uri":
        steps.take(len(value) // _TEXT_A_STEP)
        if _URI.match(value) is None:
            yield InvalidField("format", _field(path), "Does not match format 'uri'")
    pattern = _pattern(schema.get("pattern"))
    if pattern is not None and not pattern.allows(value, steps):
        shown = _shown(schema["pattern"])
        yield InvalidField("pattern", _field(path), f"Does not match pattern '{shown}'")


def _number_problems(
    schema: Mapping[str, Any], value: float, path: str, steps: _Steps
) -> Iterator[InvalidField]:
    low, high = as_number(schema.get("minimum")), as_number(schema.get("maximum"))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    # OpenAPI 3.0 has `true` next to the bound; JSON Schema has a separate bound.
    for bound in (low if above is True else None, as_number(above)):
        if bound is not None and value <= bound:
            yield InvalidField("number_gt", _field(path), f"Must be greater than {bound:.10g}")
    for bound in (high if below is True else None, as_number(below)):
        if bound is not None and value >= bound:
            yield InvalidField("number_lt", _field(path), f"Must be less than {bound:.10g}")
    if low is not None and above is not True and value < low:
        text = f"Must be greater than or equal to {low:.10g}"
        yield InvalidField("number_gte", _field(path), text)
    if high is not None and below is not True and value > high:
        text = f"Must be less than or equal to {high:.10g}"
        yield InvalidField("number_lte", _field(path), text)
    factor = _factor(schema.get("multipleOf"))
    if factor is not None:
        # For numbers with a thousand digits the division is that expensive.
        steps.take(2)
        if not _is_multiple(value, factor):
            text = f"Must be a multiple of {factor:.10g}"
            yield InvalidField("multiple_of", _field(path), text)


def _factor(value: object) -> float | None:
    factor = as_number(value)
    return factor if factor is not None and factor > 0 else None


def _is_multiple(value: float, factor: float) -> bool:
    """Whether value is a multiple by the decimal digits of both, so that 0.3 is a multiple of
    0.1."""
    if isinstance(value, float) and not math.isfinite(value):
        return True
    (a, i), (b, j) = _decimal(value), _decimal(factor)
    least = min(i, j)
    return bool(a * 10 ** (i - least) % (b * 10 ** (j - least)) == 0)


def _decimal(value: float) -> tuple[int, int]:
    """Split a finite number into its digits and a power of ten."""
    if isinstance(value, int):
        return value, 0
    digits, _, power = repr(value).partition("e")
    whole, _, part = digits.partition(".")
    return int(whole + part), int(power or 0) - len(part)


def _wrong_type(expected: str, value: object, path: str) -> InvalidField:
    text = f"Invalid type. Expected: {expected}, given: {_type_of(value)}"
    return InvalidField("invalid_type", _field(path), text)


def _type_of(value: object) -> str:
    return next((name for name in _JSON_TYPES if is_a(value, name)), "undefined")


def _field(path: str) -> str:
    return f"input.{path}" if path else "input"


def _join(path: str, name: str) -> str:
    return f"{path}.{_shown(name)}" if path else _shown(name)


def _shown(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


# Patterns


_ESCAPED = r"\\[dDwW^$.|?*+()\[\]{}/\\-]"
_OF_A_CLASS = rf"(?:[^\\\[\]^&~|-]|{_ESCAPED})"
_ATOM = re.compile(
    rf"(?:{_ESCAPED}|\[\^?-?(?:{_OF_A_CLASS}(?:-{_OF_A_CLASS})?)++-?\]|[^\\^$|?*+()\[\]{{}}])"
    r"(?:(?P<sign>[?*+])|\{(?P<least>[0-9]{1,3})(?:(?P<comma>,)(?P<most>[0-9]{1,3})?)?\})?"
    r"(?(sign)\??|(?(least)\??))"
)
"""One character or character class with its repetition. Groups and white space classes are
excluded, because dialects of regular expressions differ in them, or their search has no bound."""


class _Pattern(NamedTuple):
    """A regular expression without groups, so that the cost of a search is known in advance."""

    search: re.Pattern[str]
    anchored: bool
    length: int
    """Minimum length of a match, or the number of atoms if that is larger."""
    spans: tuple[int | None, ...]
    """Variation of each repetition in characters; None for unlimited."""

    def allows(self, value: str, steps: _Steps) -> bool:
        """Whether the text matches; True if the search could take too long."""
        tries = self.length * (1 if self.anchored else len(value) + 1)
        for span in self.spans:
            tries *= len(value) + 1 if span is None else min(span, len(value)) + 1
        if tries > _MOST_TRIES:
            return True
        steps.take(1 + tries // _TRIES_A_STEP)
        return self.search.search(value) is not None


def _pattern(text: object) -> _Pattern | None:
    """Return the pattern if it is simple enough to be searched here, otherwise None."""
    if not isinstance(text, str) or len(text) > _LONGEST_PATTERN:
        return None
    return _read_pattern(text)


@lru_cache(maxsize=64)
def _read_pattern(text: str) -> _Pattern | None:
    anchored, closed = text.startswith("^"), text.endswith("$") and not text.endswith(r"\$")
    body = text[anchored : len(text) - closed]
    length, at = 1, 0
    spans: list[int | None] = []
    while at < len(body):
        atom = _ATOM.match(body, at)
        if atom is None:
            return None
        least, span = _times(atom)
        length += max(1, least)
        spans += [span] if span != 0 else []
        at = atom.end()
    try:
        # Python's `$` also matches before a final line break.
        search = re.compile(("^" * anchored) + body + (r"\Z" * closed), re.ASCII)
    except re.error:
        return None
    return _Pattern(search, anchored, length, tuple(spans))


def _times(atom: re.Match[str]) -> tuple[int, int | None]:
    """Return the minimum of an atom's repetitions, and how many more are allowed; None for
    unlimited."""
    match atom["sign"]:
        case "?":
            return 0, 1
        case "*" | "+":
            return 1, None
    least = int(atom["least"] or 1)
    if atom["comma"] is None:
        return least, 0
    return least, int(atom["most"]) - least if atom["most"] else None


# Ignored keywords


def _is_seen(schema: dict[str, Any], depth: int, steps: _Steps) -> bool:
    """Whether the check of this schema ignores nothing in it."""
    return next(_unseen(schema, "", depth + 1, steps), None) is None


def _unseen(
    schema: Mapping[str, Any], path: str, depth: int, steps: _Steps
) -> Iterator[tuple[str, str]]:
    steps.take(1 + len(schema) // _NAMES_A_STEP)
    if depth > MAX_SCHEMA_DEPTH:
        yield path, "depth"
        return
    for word, said in schema.items():
        if word in _TOLD or word.startswith("x-"):
            continue
        if word not in _CHECKED or not _CHECKED[word](said):
            yield path, word
    for name, inner in as_dict(schema.get("properties")).items():
        yield from _unseen(as_dict(inner), _join(path, name), depth + 1, steps)
    if isinstance(schema.get("items"), dict):
        yield from _unseen(schema["items"], f"{path}[]", depth + 1, steps)
    branches = [inner for word in BRANCHES for inner in as_list(schema.get(word))]
    for inner in (*branches, schema.get("not")):
        if isinstance(inner, dict):
            yield from _unseen(inner, path, depth + 1, steps)


def _is_number(value: object) -> bool:
    return as_number(value) is not None


def _is_bound(value: object) -> bool:
    return isinstance(value, bool) or _is_number(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_schema(value: object) -> bool:
    return isinstance(value, dict)


def _are_schemas(value: object) -> bool:
    return bool(as_list(value)) and all(map(_is_schema, as_list(value)))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_TOLD = frozenset(
    {
        *("title", "description", "default", "example", "examples", "deprecated", "readOnly"),
        *("writeOnly", "$comment", "$schema", "$id"),
    }
)
"""Keywords that restrict nothing."""
_CHECKED: dict[str, Callable[[Any], bool]] = {
    "type": lambda said: bool(types_of({"type": said})),
    "nullable": _is_flag,
    "enum": lambda said: bool(as_list(said)),
    "const": lambda _: True,
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_bound,
    "exclusiveMaximum": _is_bound,
    "multipleOf": lambda said: _factor(said) is not None,
    "minLength": _is_number,
    "maxLength": _is_number,
    "format": lambda said: said in ("uri", "password"),
    "pattern": lambda said: _pattern(said) is not None,
    "items": _is_schema,
    "minItems": _is_number,
    "maxItems": _is_number,
    "uniqueItems": _is_flag,
    "properties": lambda said: isinstance(said, dict) and all(map(_is_schema, said.values())),
    "required": _are_names,
    "dependentRequired": lambda said: (
        isinstance(said, dict) and all(map(_are_names, said.values()))
    ),
    "allOf": _are_schemas,
    "anyOf": _are_schemas,
    "oneOf": _are_schemas,
    "not": _is_schema,
}
"""Supported keywords, each with the condition on its value."""
