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


def not_found_page() -> bytes:
    """What a browser shows of an address where there is nothing, in both languages."""
    known = ProblemKind.NOT_FOUND.value
    main = f"""\
    <h1>{known.title}</h1>
    <p>Is the address spelt right? All pages are above.</p>
    <p lang="fa" dir="rtl">در این نشانی چیزی نیست. آیا درست نوشته شده است؟ همهٔ صفحه‌ها در بالاست.</p>"""
    return _framed(known.title, main)


def _page(slug: str) -> bytes:
    """What the kind of problem means, what to do about it, and an example, as HTML."""
    from api.openapi.examples import problem_examples

    kind = _KINDS[slug]
    known = kind.value
    example = json.dumps(problem_examples()[kind].answer, ensure_ascii=False, indent=2)
    title, advice = escape(known.title), escape(known.advice)
    main = f"""\
    <h1>{title}</h1>
    <p>HTTP status {known.status}, type <code>{known.uri}</code></p>
    <h2>What to do</h2>
    <p>{advice}</p>
    <h2>Example</h2>
    <pre tabindex="0"><code>{escape(example)}</code></pre>"""
    return _framed(title, main)


def _framed(title: str, main: str) -> bytes:
    """A page with the head of all pages; `title` and `main` are HTML."""
    return f"""\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/assets/base.css">
  <link rel="stylesheet" href="/assets/docs/docs.css">
</head>
<body>
  <header class="top">
    <div class="brand">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20V11M10 20V4M16 20v-7M22 20H2"/></svg>
      <p class="name">Transaction summaries</p>
    </div>
    <nav class="pages" aria-label="Pages">
      <a href="/">Summaries</a>
      <a href="/notifications">Notifications</a>
      <a href="/docs">API</a>
    </nav>
  </header>
  <main class="problem">
{main}
  </main>
</body>
</html>
""".encode()
