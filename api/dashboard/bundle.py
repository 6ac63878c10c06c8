"""What the pages load: the modules of a page in one script, its style sheets in one, each named by its content.

Browsers may keep what has such a name forever, and so load a page with few requests at first and hardly any later. The
sources stay as they are: modules that any browser loads by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

_SCRIPT: Final = re.compile(r'(?<=src="/assets/)[a-z]+\.js(?=")')
_ICON: Final = re.compile(r'(?<=href="/assets/)[a-z]+\.svg(?=")')
_STYLES: Final = re.compile(r'(?:<link rel="stylesheet" href="/assets/[a-z]+\.css">\n)+')
_STYLE: Final = re.compile(r"[a-z]+\.css")
_DATA: Final = re.compile(r'^import (\w+) from "\./([a-z]+\.json)" with \{ type: "json" \};\n', re.MULTILINE)
_IMPORT: Final = re.compile(r'^import \{([^}]+)\} from "\./([a-z]+)\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) (\w+))", re.MULTILINE)
_OTHER_FORM: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundled(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The pages among `files`, and the files that these load, both by name.

    :param files: pages (``.html``) and what they name as ``/assets/…``, by name.
    :raises ValueError: a module is imported or exported in a form that is not supported, or modules import one another.
    """
    loaded: dict[str, bytes] = {}

    def named(stem: str, suffix: str, content: str) -> str:
        name = f"{stem}-{sha256(content.encode()).hexdigest()[:16]}{suffix}"
        loaded[name] = content.encode()
        return name

    texts = {name: content.decode() for name, content in files.items()}

    def styles(links: re.Match[str]) -> str:
        name = named("styles", ".css", "".join(texts[sheet] for sheet in _STYLE.findall(links[0])))
        return f'<link rel="stylesheet" href="/assets/{name}">\n'

    def bundle_page(page: str) -> bytes:
        page = _STYLES.sub(styles, page)
        page = _ICON.sub(lambda icon: named("icon", ".svg", texts[icon[0]]), page)
        return _SCRIPT.sub(lambda script: named(script[0][:-3], ".js", _script(script[0][:-3], texts)), page).encode()

    pages = {name: bundle_page(text) for name, text in texts.items() if name.endswith(".html")}
    return pages, loaded


def _script(entry: str, texts: Mapping[str, str]) -> str:
    """The module `entry` after all that it imports: each runs once, in a function of its own."""
    return "".join(_modules(entry, texts, {}))


def _modules(name: str, texts: Mapping[str, str], done: dict[str, bool]) -> Iterator[str]:
    done[name] = False
    text = _DATA.sub(lambda data: f"const {data[1]} = {texts[data[2]]};\n", texts[f"{name}.js"])
    for _, imported in _IMPORT.findall(text):
        if imported not in done:
            yield from _modules(imported, texts, done)
        elif not done[imported]:
            raise ValueError(f"the modules {name}.js and {imported}.js import one another")
    exports = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(_constants, text))
    if other := _OTHER_FORM.search(body):
        raise ValueError(f'{name}.js: write import {{ … }} from "./name.js" and export before a name: {other[0]}')
    yield f"const ${name} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"
    done[name] = True


def _constants(statement: re.Match[str]) -> str:
    """``import { a, b as c } from "./d.js"`` as ``const { a, b: c } = $d``."""
    names = re.sub(r"\s+as\s+", ": ", statement[1])
    return f"const {{{names}}} = ${statement[2]};\n"
