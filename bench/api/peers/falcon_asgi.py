"""Falcon ASGI: a constant body, the upper limit; and a minimal application that serves a series."""

from __future__ import annotations

import os
import sqlite3

import falcon.asgi
import orjson

App = falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]

_QUERIES = {
    measure: f"SELECT key, {measure} FROM summary_transaction WHERE mode = ? AND merchant_id = ? ORDER BY key"
    for measure in ("amount", "count")
}


class Hello:
    """Responds with a constant body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Respond immediately."""
        resp.data = self._body


class Summary:
    """Serves daily, weekly and monthly series from the file at `path`, all on the event loop, over one connection."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Look the series up and write it."""
        query = _QUERIES[req.get_param("type", required=True)]
        asked = req.get_param("mode", required=True), req.get_param("merchant_id", required=True)
        rows = self._connection.execute(query, asked)
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps([{"key": key, "value": value} for key, value in rows])


def hello() -> App:
    """A constant body, as large as a series: ``BENCH_BODY_BYTES``."""
    app = falcon.asgi.App()
    app.add_route("/hello", Hello(b'"' + b"x" * (int(os.environ["BENCH_BODY_BYTES"]) - 2) + b'"'))
    return app


def plain() -> App:
    """A resource that queries SQLite and writes JSON for each request."""
    app = falcon.asgi.App()
    app.add_route("/api/transactions/summary", Summary(os.environ["BENCH_DATABASE"]))
    return app
