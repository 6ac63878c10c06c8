"""``GET /problems/{slug}``: the page of a type of problems, whose ``type`` is its address."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from api.http.static_pages import PagesResource, StaticPages
from api.problems import ProblemKind
from api.threads import ThreadPool

_FRAME: Final = Path(__file__).parent / "page" / "frame.html"
_HEAD: Final = '  <meta name="color-scheme" content="light dark">'
_KINDS: Final = {kind.value.slug: kind for kind in ProblemKind}


def problems_resource(pool: ThreadPool) -> PagesResource:
    """A page for each type of problem."""
    pages = StaticPages(lambda slug: "text/html; charset=utf-8", _page, pool)
    return PagesResource(dict.fromkeys(_KINDS, pages))


@cache
def not_found_page() -> bytes:
    """The page for an unknown address, in both languages."""
    known = ProblemKind.NOT_FOUND.value
    content = f"""\
    <h1>{known.title}</h1>
    <p>Is the address spelt right? All pages are above.</p>
    <p lang="fa" dir="rtl">در این نشانی چیزی نیست. آیا درست نوشته شده است؟ همهٔ صفحه‌ها در بالاست.</p>"""
    return _problem_page(known.title, content)


def _page(slug: str) -> bytes:
    """The page of a type of problems, with what to do and an example."""
    from api.openapi.examples import problem_examples

    kind = _KINDS[slug]
    known = kind.value
    example = json.dumps(problem_examples()[kind].answer, ensure_ascii=False, indent=2)
    title, advice = escape(known.title), escape(known.advice)
    content = f"""\
    <h1>{title}</h1>
    <p>HTTP status {known.status}, type <code>{known.uri}</code></p>
    <h2>What to do</h2>
    <p>{advice}</p>
    <h2>Example</h2>
    <pre tabindex="0"><code>{escape(example)}</code></pre>"""
    return _problem_page(title, content)


def framed(title: str, head: str, main: str, *, link: str = "") -> bytes:
    """A page about the API, with the header of all pages; all parameters are HTML.

    :param head: what comes before the last stylesheet.
    :param link: attributes of the link to ``/docs``, each after a blank.
    """
    frame = Template(_FRAME.read_text("utf-8"))
    return frame.substitute(title=title, head=head, main=main, link=link).encode()


def _problem_page(title: str, content: str) -> bytes:
    return framed(title, _HEAD, f'  <main class="problem">\n{content}\n  </main>')
