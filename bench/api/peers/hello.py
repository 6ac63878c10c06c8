"""The most that Falcon can do on an event loop: a constant body, as large as a series, ``BENCH_BODY_BYTES``."""

from __future__ import annotations

import os

import falcon.asgi


class Hello:
    """Answers with bytes that are ready."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Answer at once."""
        resp.data = self._body


def get_app() -> falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]:
    """The application, as gunicorn asks for it."""
    app = falcon.asgi.App()
    app.add_route("/hello", Hello(b'"' + b"x" * (int(os.environ["BENCH_BODY_BYTES"]) - 2) + b'"'))
    return app
