"""Tables of the page about the API."""

from __future__ import annotations

from collections.abc import Iterable

from api.openapi.html import Html, phrase, tag
from api.openapi.wording import Json, fields_of, kind_of


def table(caption: str, names: tuple[str, ...], rows: list[Html]) -> Html | None:
    """A table that scrolls where it is too wide; None when it has no rows."""
    if not rows:
        return None
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in names]))
    whole = tag("table", tag("caption", caption), head, tag("tbody", rows))
    # What scrolls must be reachable by the keyboard.
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def parameter_table(parameters: list[Json]) -> Html | None:
    """The OpenAPI `parameters` of an operation; None when there are none."""
    rows = [
        tag(
            "tr",
            tag("td", tag("code", parameter["name"]), _note(parameter)),
            tag("td", kind_of(parameter["schema"]), _default(parameter["schema"])),
            tag("td", phrase(parameter["description"])),
        )
        for parameter in parameters
    ]
    return table("Parameters", ("Name", "Value", "Meaning"), rows)


def _note(parameter: Json) -> Html | None:
    notes = [
        word
        for word, holds in (
            ("in the path", parameter["in"] == "path"),
            ("header", parameter["in"] == "header"),
            ("required", parameter["required"] and parameter["in"] == "query"),
        )
        if holds
    ]
    return tag("small", ", ".join(notes)) if notes else None


def _default(schema: Json) -> Html | None:
    return tag("small", "default ", tag("code", str(schema["default"]))) if "default" in schema else None


def field_table(caption: str, bodies: Iterable[Json], schemas: Json) -> Html | None:
    """Every field of bodies of these JSON schemas; None when there are none.

    :param schemas: those that references mean, by name.
    """
    rows = [
        tag("tr", tag("td", tag("code", field.path)), tag("td", field.kind), tag("td", phrase(field.description)))
        for body in bodies
        for field in fields_of(body, schemas)
    ]
    return table(caption, ("Name", "Value", "Meaning"), rows)
