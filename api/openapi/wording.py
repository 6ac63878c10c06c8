"""Parts of JSON Schema in words, for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from api.openapi.html import Html, joined, tag

Json = dict[str, Any]

_TYPES: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_FORMATS: Final = {"date-time": "instant, RFC 3339", "date": "date"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body.

    :param path: from the outermost value, such as ``merchants[].amount``.
    """

    path: str
    kind: Html
    description: str


def kind_of(schema: Json) -> Html:
    """What values `schema` allows."""
    if options := schema.get("anyOf"):
        return Html(" or ".join(kind_of(option) for option in options))
    if schema.get("type") == "null":
        return tag("code", "null")
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if values:
        return joined(_listed([tag("code", str(value)) for value in values]))
    if schema.get("type") == "array":
        return Html("list")
    if schema.get("type") == "object":
        return Html("object")
    if "pattern" in schema and "examples" in schema:
        return joined(["key, such as ", tag("code", schema["examples"][0])])
    word = _FORMATS.get(schema.get("format", "")) or _TYPES.get(schema.get("type", ""), "anything")
    return joined([word, _range(schema), _length(schema)])


def fields_of(schema: Json, schemas: Json) -> list[Field]:
    """Every field of a body of `schema`, outer ones before what they hold.

    :param schemas: those that references mean, by name.
    """
    return list(_fields(schema, schemas, ""))


def _fields(schema: Json, schemas: Json, path: str) -> Iterator[Field]:
    schema = _inner(schema, schemas)
    if schema.get("type") == "array":
        yield from _fields(schema["items"], schemas, f"{path}[]")
    for name, inner in schema.get("properties", {}).items():
        inner_path = f"{path}.{name}" if path else name
        described = inner.get("description") or _inner(inner, schemas).get("description", "")
        optional = "" if name in schema.get("required", ()) else "Optional. "
        yield Field(inner_path, _kind_with_null(inner, schemas), optional + described)
        yield from _fields(inner, schemas, inner_path)


def _kind_with_null(schema: Json, schemas: Json) -> Html:
    options = schema.get("anyOf", [schema])
    return Html(" or ".join(kind_of(_resolved(option, schemas)) for option in options))


def _inner(schema: Json, schemas: Json) -> Json:
    """`schema`, or what it means; of alternatives the one that is not null."""
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return _resolved(options[0], schemas)


def _resolved(schema: Json, schemas: Json) -> Json:
    reference: str | None = schema.get("$ref")
    return schema if reference is None else schemas[reference.rpartition("/")[2]]


def _range(schema: Json) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least:,} to {most:,}"
    return "" if not least else f", at least {least:,}"


def _length(schema: Json) -> str:
    return f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""


def _listed(items: list[Html]) -> Iterator[str]:
    for index, item in enumerate(items):
        if index:
            yield " or " if index == len(items) - 1 else ", "
        yield item
