"""JSON responses that are never cached."""

from __future__ import annotations

import falcon

from api.openapi.bodies import Body


def send_document(
    resp: falcon.Response, document: Body, *, created_at: str | None = None, following: str | None = None
) -> None:
    """Send `document`.

    :param created_at: the path of what the request has created, for 201 and the header Location.
    :param following: the address of the next page, for the header Link.
    """
    if created_at is not None:
        resp.status = falcon.HTTP_201
        resp.location = created_at
    if following is not None:
        resp.append_link(following, "next")
    resp.set_header("Cache-Control", "no-store")
    resp.content_type = falcon.MEDIA_JSON
    resp.data = document.json_bytes()
