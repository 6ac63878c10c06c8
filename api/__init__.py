"""The HTTP side: summaries over a Falcon application, and the dashboard. It never reads raw transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import falcon


def get_app() -> falcon.App[falcon.Request, falcon.Response]:
    """The application that the environment describes, for ``gunicorn 'api:get_app()'``.

    :raises SettingsError: a variable's value is not allowed.
    """
    from functools import partial

    from api.app import create_app
    from core.settings import read_settings
    from core.stores import open_stores

    settings = read_settings()
    opening = partial(open_stores, settings.store_url, timeout_s=settings.api_store_timeout_s, create=False)
    return create_app(settings, opening)
