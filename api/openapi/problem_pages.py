"""``GET /problems/{slug}``: the page that the ``type`` of a problem leads to."""

from __future__ import annotations

import json
from html import escape
from typing import Final

import falcon.asgi

from api.http.static_pages import StaticPages
from api.problems import Problem, ProblemKind

_KINDS: Final = {kind.value.slug: kind for kind in ProblemKind}


class ProblemsResource:
    """A page for each type of problem."""

    public = True

    def __init__(self) -> None:
        self._pages = StaticPages(lambda slug: "text/html; charset=utf-8", _page)

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, slug: str) -> None:
        """The page of `slug`."""
        if slug not in _KINDS:
            raise Problem(ProblemKind.NOT_FOUND, "There is no problem of this name.")
        await self._pages.send(req, resp, slug)

    on_head = on_get


def _page(slug: str) -> bytes:
    """What the kind of problem means, what to do about it, and an example, as HTML."""
    from api.openapi.examples import problem_examples

    kind = _KINDS[slug]
    known = kind.value
    example = json.dumps(problem_examples()[kind].answer, ensure_ascii=False, indent=2)
    title, advice = escape(known.title), escape(known.advice)
    return f"""\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/assets/docs/docs.css">
</head>
<body>
  <nav><a href="/">Dashboard</a> <a href="/docs">API</a></nav>
  <main class="problem">
    <h1>{title}</h1>
    <p>HTTP status {known.status}, type <code>{known.uri}</code></p>
    <h2>What to do</h2>
    <p>{advice}</p>
    <h2>Example</h2>
    <pre tabindex="0"><code>{escape(example)}</code></pre>
  </main>
</body>
</html>
""".encode()
