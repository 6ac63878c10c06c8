"""What a user would write first: FastAPI, whose function queries SQLite for each request and returns rows.

FastAPI runs an ordinary function in its threads; a thread has a connection of its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel

_QUERIES = {
    measure: f"SELECT key, {measure} FROM summary_transaction WHERE mode = ? AND merchant_id = ? ORDER BY key"
    for measure in ("amount", "count")
}


class Point(BaseModel):
    """A period with its value."""

    key: str
    value: int


def get_app() -> FastAPI:
    """The application, as gunicorn loads it."""
    app = FastAPI()
    path, of_thread = os.environ["BENCH_DATABASE"], threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(of_thread, "connection"):
            of_thread.connection = sqlite3.connect(path)
        found: sqlite3.Connection = of_thread.connection
        return found

    def summary(
        mode: Literal["daily", "weekly", "monthly"],
        type: Literal["amount", "count"],  # noqa: A002 - the parameter's name
        merchant_id: str,
    ) -> list[Point]:
        """Look the series up."""
        rows = connection().execute(_QUERIES[type], (mode, merchant_id))
        return [Point(key=key, value=value) for key, value in rows]

    app.get("/api/transactions/summary")(summary)  # no decorator: without FastAPI it would have no type
    return app
