"""The entry point of Celery: ``celery -A core worker``, ``celery -A core beat``."""

from __future__ import annotations

from core.errors import SettingsError
from core.notifications.broker import make_celery
from core.settings import read_settings

try:
    app = make_celery(read_settings())
except SettingsError as error:
    raise SystemExit(f"{error.sentence}. {error.hint}") from None
