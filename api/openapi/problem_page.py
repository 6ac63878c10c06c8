"""The page that the ``type`` of a problem leads to."""

from __future__ import annotations

import json
from html import escape

from api.openapi.examples import problem_examples
from api.problems import ProblemKind


def problem_page(kind: ProblemKind) -> bytes:
    """What `kind` means, what to do about it, and an example, as HTML."""
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
