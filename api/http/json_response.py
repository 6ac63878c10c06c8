"""Answers that change from one moment to the next, and so are never kept."""

from __future__ import annotations

import falcon

from api.openapi.bodies import Body


def send_document(resp: falcon.Response, document: Body, *, created_at: str | None = None) -> None:
    """Let `document` be the answer.

    :param created_at: the path of what the request has made.
    """
    if created_at is not None:
        resp.status = falcon.HTTP_201
        resp.location = created_at
    resp.set_header("Cache-Control", "no-store")
    resp.content_type = falcon.MEDIA_JSON
    resp.data = document.json_bytes()
