"""Validates an input against its model's schema, with Replicate's error texts (gojsonschema's).

The validation itself is done by a library, so that wrong rules of the product's own checker show
up.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

MOST_PROBLEMS = 20
_SCHEMES = {"http", "https", "data"}
_KINDS = jsonschema_rs.ValidationErrorKind

Problem = tuple[str, str, str]
"""Type, field and description."""


def problems(schema: dict[str, Any], value: object) -> list[Problem]:
    """Return at most 20 problems in the order of the schema; none if the model would accept the
    input."""
    checked = _validator(json.dumps({**schema, "type": "object"}))
    errors = checked.iter_errors(value)
    return [_said(error) for error, _ in zip(errors, range(MOST_PROBLEMS), strict=False)]


@lru_cache(maxsize=64)
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        in_json_schema(json.loads(schema)), validate_formats=True, formats={"uri": _is_uri}
    )


def in_json_schema(schema: Any) -> Any:
    """Translate keywords of OpenAPI 3.0 to JSON Schema, which the library understands."""
    if isinstance(schema, list):
        return [in_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    said = {word: in_json_schema(each) for word, each in schema.items()}
    for bound, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(said.get(excluded), bool) and said.pop(excluded) and bound in said:
            said[excluded] = said.pop(bound)
    if said.get("nullable") is True:
        return {"if": {"type": "null"}, "else": said}
    return said


def _is_uri(text: str) -> bool:
    """Whether a model can fetch the URL. The library's own format check rejects white space
    already."""
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        return False
    return scheme in _SCHEMES and not any(character.isspace() for character in text)


_WITH_A_VALUE: dict[Any, tuple[str, str, str]] = {
    _KINDS.Minimum: ("limit", "number_gte", "Must be greater than or equal to {:.10g}"),
    _KINDS.Maximum: ("limit", "number_lte", "Must be less than or equal to {:.10g}"),
    _KINDS.ExclusiveMinimum: ("limit", "number_gt", "Must be greater than {:.10g}"),
    _KINDS.ExclusiveMaximum: ("limit", "number_lt", "Must be less than {:.10g}"),
    _KINDS.MultipleOf: ("multiple_of", "multiple_of", "Must be a multiple of {:.10g}"),
    _KINDS.MinLength: ("limit", "string_gte", "String length must be greater than or equal to {}"),
    _KINDS.MaxLength: ("limit", "string_lte", "String length must be less than or equal to {}"),
    _KINDS.MinItems: ("limit", "array_min_items", "Array must have at least {} items"),
    _KINDS.MaxItems: ("limit", "array_max_items", "Array must have at most {} items"),
    _KINDS.Pattern: ("pattern", "pattern", "Does not match pattern '{}'"),
}
"""Error kinds whose text has one parameter: its attribute, gojsonschema's name, and the text."""
_PLAIN: dict[Any, tuple[str, str]] = {
    _KINDS.Not: ("number_not", "Must not validate the schema (not)"),
    _KINDS.AnyOf: ("number_any_of", "Must validate at least one schema (anyOf)"),
    _KINDS.OneOfNotValid: ("number_one_of", "Must validate one and only one schema (oneOf)"),
    _KINDS.OneOfMultipleValid: ("number_one_of", "Must validate one and only one schema (oneOf)"),
    _KINDS.Format: ("format", "Does not match format 'uri'"),
}


def _said(error: jsonschema_rs.ValidationError) -> Problem:
    path = ".".join(map(str, error.instance_path))
    field = f"input.{path}" if path else "input"
    kind = type(error.kind)
    if kind in _WITH_A_VALUE:
        attribute, name, text = _WITH_A_VALUE[kind]
        return name, field, text.format(getattr(error.kind, attribute))
    if kind in _PLAIN:
        name, text = _PLAIN[kind]
        return name, field, text
    match error.kind:
        case _KINDS.Required(property=name):
            return "required", field, f"{name} is required"
        case _KINDS.Type(types=types):
            wanted = types[0] if len(types) == 1 else f"[{','.join(types)}]"
            given = _type_of(error.instance)
            return "invalid_type", field, f"Invalid type. Expected: {wanted}, given: {given}"
        case _KINDS.Enum(options=options):
            choices = ", ".join(json.dumps(option, ensure_ascii=False) for option in options)
            text = f"{path or 'input'} must be one of the following: {choices}"
            return "enum", field, text
        case _KINDS.Constant(expected_value=value):
            text = f"{path or 'input'} does not match: {json.dumps(value, ensure_ascii=False)}"
            return "const", field, text
    return error.kind.name, field, error.message


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"
