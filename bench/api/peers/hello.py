"""The most that Falcon can do: a constant body, as large as a series of ours, ``BENCH_BODY_BYTES``."""

from __future__ import annotations

import os

import falcon


class Hello:
    """Answers with bytes that are ready."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def on_get(self, _: falcon.Request, resp: falcon.Response) -> None:
        """Answer at once."""
        resp.data = self._body


def get_app() -> falcon.App[falcon.Request, falcon.Response]:
    """The application, as gunicorn asks for it."""
    app = falcon.App()
    app.add_route("/hello", Hello(b'"' + b"x" * (int(os.environ["BENCH_BODY_BYTES"]) - 2) + b'"'))
    return app
