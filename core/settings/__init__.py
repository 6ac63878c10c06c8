"""Every environment variable of the program: its name, unit, default and meaning, in one class.

Only entry points (``__main__``, ``get_app``, the Celery app) read it; everything else is handed what it needs.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from core.errors import SettingsError
from core.settings.api import ApiSettings
from core.settings.notifier import NotifierSettings
from core.settings.shared import SharedSettings

_USER_AND_PASSWORD: Final = re.compile(r"//[^/\s]*@")


class Settings(NotifierSettings, ApiSettings, SharedSettings):
    """The settings of all processes. Environment variables bear the field's name in capitals."""

    model_config = SettingsConfigDict(case_sensitive=False, extra="ignore", frozen=True, hide_input_in_errors=True)


def read_settings() -> Settings:
    """The settings from the environment.

    :raises SettingsError: a variable's value is not allowed; names each such variable, what was found, what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']).upper()} is {_shown(problem['input'])}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        hint = "Change the environment variable, or unset it for its default."
        raise SettingsError("; ".join(problems), hint) from None


def _shown(value: object) -> str:
    """`value` without the password of a URL."""
    return _USER_AND_PASSWORD.sub("//***@", repr(value))
