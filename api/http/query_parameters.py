"""Validates query strings; one response lists all errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from api.problems import ErrorCode, ParameterError, Problem, ProblemKind, bad_parameters, error_code
from core.calendar import Calendar, Mode, Period, calendar_named
from core.calendar.dates import period_named

_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]+")
_MOST_FIELDS: Final = 150
_LONGEST_QUOTE: Final = 60
_MODES: Final[dict[str | None, Mode]] = {mode.value: mode for mode in Mode}
_DIGIT: Final = "[0-9۰-۹٠-٩]"

KEY_PATTERN: Final = f"^{_DIGIT}{{4}}([/-]{_DIGIT}{{2}}([/-]{_DIGIT}{{2}})?|[/-]W{_DIGIT}{{2}})$"
"""The pattern of dates, and of keys of all modes and calendars, for OpenAPI; calendars validate them exactly."""
BOM_WITHOUT_CSV: Final = "is for CSV only; add format=csv"


class Parameters(BaseModel):
    """The parameters of a request, declared by a subclass. Unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, str_max_length=2048)


def _plain_digits(value: object) -> object:
    # pydantic would also accept 1.0, 1_0, +1 and blanks around the digits.
    if isinstance(value, str) and not _WHOLE_NUMBER.fullmatch(value):
        raise PydanticCustomError("int_parsing", "it is not a whole number")
    return value


WholeNumber = Annotated[int, BeforeValidator(_plain_digits)]
"""An integer in ASCII digits."""

ParametersT = TypeVar("ParametersT", bound=Parameters)


class NoParameters(Parameters):
    """The parameters of a request that takes none."""


class Findings:
    """The errors in the parameters of a request."""

    def __init__(self) -> None:
        self.errors: list[ParameterError] = []

    def add(self, parameter: str, detail: str, code: ErrorCode = "invalid") -> None:
        """Add an error of `parameter`."""
        self.errors.append(ParameterError(parameter, detail, code))

    def __contains__(self, parameter: str) -> bool:
        return any(error.parameter == parameter for error in self.errors)

    def raise_if_any(self) -> None:
        """Raise if there are errors.

        :raises Problem: bad parameter, with all errors.
        """
        if self.errors:
            raise bad_parameters(self.errors)


def fields_of(query_string: str, findings: Findings, lists: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a query string, decoded; a repeated field is an error in `findings`.

    :param lists: the fields that may be repeated: they are lists, in which only a repeated value is an error.
    :raises Problem: the query string is not UTF-8, or has too many fields.
    """
    try:
        pairs = parse_qsl(
            query_string, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS, separator="&"
        )
    except ValueError as error:
        raise Problem(
            ProblemKind.BAD_REQUEST,
            f"The query must be percent-encoded UTF-8, with at most {_MOST_FIELDS} parameters.",
        ) from error
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values = fields.setdefault(name, [])
            if value in values and name not in findings:
                findings.add(name, f"{quoted(value)} is given more than once", "repeated")
            values.append(value)
            continue
        if name in fields and (shown := quoted(name, "")) not in findings:
            findings.add(shown, "is given more than once", "repeated")
        fields[name] = value
    return fields


def mode_in(fields: Mapping[str, Any], default: Mode | None = None) -> Mode | None:
    """The mode in `fields`, if valid, so that keys are validated also if another parameter is wrong."""
    return _MODES.get(fields.get("mode", default))


def period_in(
    name: str, fields: Mapping[str, Any], calendar: Calendar, mode: Mode | None, findings: Findings
) -> Period | None:
    """The period of `mode` in the field `name`, by its key or by a Gregorian date in it.

    None without the field or a mode; also None, with an error in `findings`, if it is not a key or date.
    """
    text = fields.get(name)
    if text is None or mode is None:
        return None
    try:
        return _period_named(calendar.name, mode, text)
    except ValueError as error:
        findings.add(name, str(error))
        return None


@lru_cache(maxsize=1024)  # many requests have the same bounds
def _period_named(calendar: str, mode: Mode, text: str) -> Period:
    return period_named(calendar_named(calendar), mode, text)


def range_in(
    fields: Mapping[str, Any], calendar: Calendar, mode: Mode | None, findings: Findings
) -> tuple[Period | None, Period | None]:
    """The periods in ``from`` and ``to``, see `period_in`; it is an error if the last is before the first."""
    first, last = (period_in(name, fields, calendar, mode, findings) for name in ("from", "to"))
    if first is not None and last is not None and first.first_day > last.first_day:
        findings.add("to", f"{last.key} is before {first.key}, which is from")
    return first, last


def validated(model: type[ParametersT], fields: Mapping[str, Any], findings: Findings) -> ParametersT:
    """`fields` as a `model`; other errors may be in `findings` already.

    :raises Problem: bad parameter: `fields` are not valid; with all errors in `findings`.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        for detail in error.errors():
            name = str(detail["loc"][0]) if detail["loc"] else ""
            findings.add(quoted(name, ""), _in_words(detail, model), error_code(detail["type"]))
    raise bad_parameters(findings.errors)


def parameters_in(query_string: str, model: type[ParametersT]) -> ParametersT:
    """The parameters in a query string.

    :raises Problem: bad parameter, with all errors; or the query string is not valid.
    """
    findings = Findings()
    parameters = validated(model, fields_of(query_string, findings), findings)
    findings.raise_if_any()
    return parameters


def refuse_parameters(query_string: str) -> None:
    """Check that there are no parameters: see `parameters_in`."""
    parameters_in(query_string, NoParameters)


def quoted(text: str, mark: str = "'") -> str:
    """`text` in quotation marks, truncated for an error message."""
    shown = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
    return f"{mark}{shown}{mark}"


def names_of(model: type[Parameters]) -> list[str]:
    """The names of the parameters of `model` in query strings."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _in_words(error: ErrorDetails, model: type[Parameters]) -> str:
    words = _WORDS.get(error["type"])
    if words is not None:
        return words(error, model)
    return f"{quoted(str(error['input']))} is not allowed: {error['msg'].removeprefix('Value error, ')}"


def _choice(error: ErrorDetails, model: type[Parameters]) -> str:
    return f"{quoted(str(error['input']))} is not one of {_context(error)['expected']}"


def _bound(error: ErrorDetails, model: type[Parameters]) -> str:
    context = _context(error)
    limit = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
    return f"{quoted(str(error['input']))} is not allowed: it must be {limit}"


def _context(error: ErrorDetails) -> dict[str, Any]:
    return error.get("ctx", {})


_WORDS: Final[dict[str, Callable[[ErrorDetails, type[Parameters]], str]]] = {
    "missing": lambda error, model: "is required",
    "extra_forbidden": lambda error, model: (
        f"is not a parameter here; parameters: {', '.join(names_of(model)) or 'none'}"
    ),
    "literal_error": _choice,
    "enum": _choice,
    "int_parsing": lambda error, model: f"{quoted(str(error['input']))} is not a whole number",
    "int_parsing_size": lambda error, model: f"{quoted(str(error['input']))} is too large",
    "int_from_float": lambda error, model: f"{quoted(str(error['input']))} is not a whole number",
    "greater_than_equal": _bound,
    "less_than_equal": _bound,
    "too_long": lambda error, model: f"is given more than {_context(error)['max_length']} times",
    "string_too_short": lambda error, model: "is empty",
    "string_too_long": lambda error, model: f"is longer than {_context(error)['max_length']} characters",
}
"""The messages for pydantic's types of errors; others have pydantic's own."""
