"""The paths of the API as tests ask for them."""

from __future__ import annotations

from typing import Final

from example_notifications import FAILED_ID, SUBSCRIPTION_ID

from api.openapi.operations import OPERATIONS

IN_PATHS: Final = {
    "slug": "no-key",
    "name": "base.css",
    "file": "docs.css",
    "notification_id": FAILED_ID,
    "subscription_id": SUBSCRIPTION_ID,
    "user_id": "sara",
}
"""A value for each parameter in a path, of the store of the examples."""

PAGES: Final = (
    "/",
    "/notifications",
    "/subscriptions",
    "/contacts",
    "/sign-in",
    "/docs",
    "/openapi.json",
    "/problems/{slug}",
    "/assets/{name}",
    "/assets/docs/{file}",
)
"""The paths of pages and their files, which are no operations of the OpenAPI document."""

PATHS: Final = (*dict.fromkeys(operation.path for operation in OPERATIONS), *PAGES)
"""Every path, as OpenAPI writes it."""

METHODS: Final = {path: [operation.method for operation in OPERATIONS if operation.path == path] for path in PATHS} | {
    page: ["GET"] for page in PAGES
}
"""The methods of each path beside HEAD and OPTIONS."""

GETTABLE: Final = tuple(path for path in PATHS if "GET" in METHODS[path])


def filled(path: str) -> str:
    """`path` with values for its parameters."""
    return path.format(**IN_PATHS)


def allowed(path: str) -> set[str]:
    """The methods that `path` knows."""
    return {*METHODS[path], "OPTIONS"} | ({"HEAD"} if path in GETTABLE else set())
