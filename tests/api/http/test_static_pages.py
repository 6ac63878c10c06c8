"""Static pages: each is rendered once, in a bounded number of threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import falcon.asgi
import pytest
from falcon.testing import create_asgi_req

from api.http.static_pages import StaticPages
from api.problems import Problem, ProblemKind
from api.threads import ThreadPool

_TIMEOUT_S = 60


class GatedRenderer:
    """Renders pages; those named ``slow…`` only when released."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.let = threading.Event()
        self.pages = StaticPages(lambda name: "text/plain", self._make, ThreadPool("pages", threads=1, queued=1))

    def _make(self, name: str) -> bytes:
        self.begun.append(name)
        assert not name.startswith("slow") or self.let.wait(_TIMEOUT_S)
        return name.encode()

    async def get(self, name: str) -> bytes | None:
        """The body of the page."""
        response = falcon.asgi.Response()
        await self.pages.send(create_asgi_req(), response, name)
        return response.data


def scenario(steps: Callable[[GatedRenderer], Awaitable[None]]) -> GatedRenderer:
    """Run `steps`, and release every page at the end."""
    press = GatedRenderer()

    async def run() -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            await steps(press)

    try:
        asyncio.run(run())
    finally:
        press.let.set()
    return press


def test_with_a_full_render_queue_only_cached_pages_are_served() -> None:
    async def steps(press: GatedRenderer) -> None:
        assert await press.get("known") == b"known"
        slow = [asyncio.create_task(press.get(name)) for name in ("slow 1", "slow 2")]
        while len(press.begun) < 2:
            await asyncio.sleep(0)
        with pytest.raises(Problem) as caught:
            await press.get("one more")
        assert caught.value.kind is ProblemKind.OVERLOADED
        assert await press.get("known") == b"known"
        press.let.set()
        assert await asyncio.gather(*slow) == [b"slow 1", b"slow 2"]
        assert await press.get("one more") == b"one more"

    assert scenario(steps).begun == ["known", "slow 1", "slow 2", "one more"]


def test_concurrent_requests_render_a_page_once() -> None:
    async def steps(press: GatedRenderer) -> None:
        many = [asyncio.create_task(press.get("slow")) for _ in range(20)]
        while not press.begun:
            await asyncio.sleep(0)
        press.let.set()
        assert await asyncio.gather(*many) == [b"slow"] * 20

    assert scenario(steps).begun == ["slow"]
