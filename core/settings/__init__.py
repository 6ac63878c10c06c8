"""Every environment variable of the program: its name, unit, default and meaning, in one class.

Only entry points (``__main__``, ``get_app``, the Celery app) read it; other code receives values as arguments.
"""

from __future__ import annotations

import re
from typing import Any, Final

import annotated_types
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict

from core.errors import SettingsError
from core.settings.api import ApiSettings
from core.settings.notifier import NotifierSettings
from core.settings.refresh import RefreshSettings
from core.settings.shared import SharedSettings
from core.settings.source import SourceSettings

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_USER_AND_PASSWORD: Final = re.compile(r"//[^/\s]*@")


class Settings(RefreshSettings, NotifierSettings, ApiSettings, SourceSettings, SharedSettings):
    """The settings of all processes. An environment variable has the field's name in capitals."""

    model_config = SettingsConfigDict(
        allow_inf_nan=False, case_sensitive=False, extra="ignore", frozen=True, hide_input_in_errors=True
    )


def read_settings() -> Settings:
    """The settings from the environment.

    :raises SettingsError: variables are invalid; names each with its value and the allowed values.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{str(problem['loc'][0]).upper()} is {_shown(str(problem['loc'][0]), problem['input'])}: "
            f"{_allowed(problem)}"
            for problem in error.errors()
        ]
        hint = "Change the environment variable, or unset it for its default."
        raise SettingsError("; ".join(problems), hint) from None


def range_words(field: FieldInfo) -> str:
    """The range of `field`, such as "1 to 256" or "more than 0, up to 60"; empty without a range."""
    bounds: dict[type, Any] = {type(one): one for one in field.metadata}
    least, above = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Gt)
    most = bounds.get(annotated_types.Le)
    if least is not None:
        return f"{least.ge:,} to {most.le:,}" if most is not None else f"{least.ge:,} or more"
    return ", ".join([*([f"more than {above.gt:,}"] if above else []), *([f"up to {most.le:,}"] if most else [])])


def _allowed(problem: ErrorDetails) -> str:
    """The allowed values; for a number the whole range, as pydantic names only the violated bound."""
    field = Settings.model_fields[str(problem["loc"][0])]
    if field.annotation in (int, float) and problem["type"] != "value_error":
        return f"it must be {'a whole number' if field.annotation is int else 'a number'}, {range_words(field)}"
    if field.annotation is bool:
        return "it must be true or false"
    return problem["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")


def _shown(name: str, value: object) -> str:
    """The `value` of setting `name` without the password of a URL; for a secret only the scheme of its URL."""
    if isinstance(Settings.model_fields[name].default, SecretStr) and value:
        scheme = _SCHEME.match(str(value))
        return repr(f"{scheme[0] if scheme else ''}***")
    return _USER_AND_PASSWORD.sub("//***@", repr(value))
