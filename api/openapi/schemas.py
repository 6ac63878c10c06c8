"""JSON Schemas from models, and parameters from the models that check them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from api.http.query_parameters import Parameters

_REF: Final = "#/components/schemas/{model}"
_BOUNDS: Final = {"ge": "minimum", "le": "maximum"}
"""Pydantic does not translate bounds next to a custom validator."""


class _Schemas(GenerateJsonSchema):
    """pydantic's schemas without titles that repeat a name, and without defaults that are None."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _ParameterSchemas(_Schemas):
    """Schemas of parameters, which are never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def component_schemas(models: Sequence[type[BaseModel]], parameters: Sequence[type[Parameters]]) -> dict[str, Any]:
    """The schemas of `models` and their parts, and of enumerations in `parameters`, by name."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF, schema_generator=_Schemas
    )
    named = schemas["$defs"]
    for model in parameters:
        named |= _whole(model).get("$defs", {})
    return {name: _cleaned(schema) for name, schema in named.items()}


def reference_to(model: type[BaseModel]) -> dict[str, str]:
    """The schema that refers to that of `model`."""
    return {"$ref": _REF.format(model=model.__name__)}


def query_parameters(model: type[Parameters]) -> list[dict[str, Any]]:
    """The OpenAPI parameters of `model`, which refer to `component_schemas`."""
    whole = _whole(model)
    longest = model.model_config["str_max_length"]
    return [
        _parameter(name, schema, longest, required=name in whole.get("required", ()))
        for name, schema in whole["properties"].items()
    ]


def _whole(model: type[Parameters]) -> dict[str, Any]:
    return model.model_json_schema(ref_template=_REF, schema_generator=_ParameterSchemas)


def _parameter(name: str, schema: dict[str, Any], longest: int | None, *, required: bool) -> dict[str, Any]:
    schema = {_BOUNDS.get(word, word): value for word, value in schema.items()}
    description = schema.pop("description")
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]  # which Swagger UI shows as a choice, not as a text field
    if "items" in schema:
        limit = {} if "$ref" in schema["items"] else {"maxLength": longest}
        schema |= {"uniqueItems": True, "items": schema["items"] | limit}
    if schema.get("type") == "string" and "enum" not in schema and "pattern" not in schema:
        schema["maxLength"] = longest
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _cleaned(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` without its title, and without the docstring of an enumeration, which is for readers of the code."""
    unwanted = {"title", "description"} if "enum" in schema else {"title"}
    return {word: value for word, value in schema.items() if word not in unwanted}
