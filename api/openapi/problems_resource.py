"""``GET /problems/{slug}``: what a type of problem means."""

from __future__ import annotations

from typing import Final

import falcon.asgi

from api.http.static_pages import KeptPages
from api.problems import Problem, ProblemKind
from api.threads import ThreadPool

_KINDS: Final = {kind.value.slug: kind for kind in ProblemKind}


class ProblemsResource:
    """A page for each type of problem."""

    public = True

    def __init__(self, pool: ThreadPool) -> None:
        self._pages = KeptPages(lambda slug: "text/html; charset=utf-8", _page, pool)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, slug: str) -> None:
        """The page of `slug`."""
        if slug not in _KINDS:
            raise Problem(ProblemKind.NOT_FOUND, "There is no problem of this name.")
        await self._pages.send(req, resp, slug)

    on_head = on_get


def _page(slug: str) -> bytes:
    from api.openapi.problem_page import problem_page

    return problem_page(_KINDS[slug])
