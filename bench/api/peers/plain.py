"""The least that serves a series: a Falcon resource that asks SQLite and dumps JSON on every request."""

from __future__ import annotations

import json
import os
import sqlite3
import threading

import falcon

_QUERIES = {
    measure: f"SELECT key, {measure} FROM summary_transaction WHERE mode = ? AND merchant_id = ? ORDER BY key"
    for measure in ("amount", "count")
}


class Summary:
    """Serves daily, weekly and monthly series from the file at `path`; a thread has a connection of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._of_thread = threading.local()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Look the series up and write it."""
        query = _QUERIES[req.get_param("type", required=True)]
        asked = req.get_param("mode", required=True), req.get_param("merchant_id", required=True)
        rows = self._connection().execute(query, asked)
        resp.text = json.dumps([{"key": key, "value": value} for key, value in rows])

    def _connection(self) -> sqlite3.Connection:
        try:
            connection: sqlite3.Connection = self._of_thread.connection
        except AttributeError:
            connection = self._of_thread.connection = sqlite3.connect(self._path)
        return connection


def get_app() -> falcon.App[falcon.Request, falcon.Response]:
    """The application, as gunicorn asks for it."""
    app = falcon.App()
    app.add_route("/api/transactions/summary", Summary(os.environ["BENCH_DATABASE"]))
    return app
