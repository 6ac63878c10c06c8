"""Writes the table of all environment variables into `README.md`, from the settings; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_ROOT: Final = Path(__file__).parents[1]
README: Final = _ROOT / "README.md"
if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))

from core.settings import range_words  # noqa: E402
from core.settings.api import ApiSettings  # noqa: E402
from core.settings.notifier import NotifierSettings  # noqa: E402
from core.settings.refresh import RefreshSettings  # noqa: E402
from core.settings.shared import SharedSettings  # noqa: E402
from core.settings.source import SourceSettings  # noqa: E402
from core.settings.text_pattern import TextPattern  # noqa: E402

BEGIN: Final = "<!-- Made by `make docs` from core/settings: change it there. -->"
END: Final = "<!-- The end of what is made. -->"
GROUPS: Final[tuple[tuple[str, type[BaseSettings]], ...]] = (
    ("Summaries", SharedSettings),
    ("Sources", SourceSettings),
    ("Refreshes", RefreshSettings),
    ("The API", ApiSettings),
    ("The notifier", NotifierSettings),
)
OF_LIBRARIES: Final = {
    "NUMBA_CACHE_DIR": (
        "next to the sources",
        "a folder",
        "Folder of compiled code; may be read-only once it is complete.",
    ),
    "NUMBA_CPU_NAME": (
        "this processor",
        "`generic`, or a processor name of LLVM",
        "Processor to compile for; `generic` if another machine runs the code.",
    ),
    "NUMBA_NUM_THREADS": ("one for each core", "1 or more", "Threads of Numba, which starts none here."),
    "PROMETHEUS_MULTIPROC_DIR": (
        "the temporary folder",
        "a folder",
        "Folder in which the API, at each start, creates a folder for the metrics of its workers.",
    ),
    "POLARS_MAX_THREADS": ("one for each core", "1 or more", "Threads that merge and check the sums."),
    "OPENBLAS_NUM_THREADS": ("`1` in jobs", "1 or more", "Threads of NumPy for linear algebra, which jobs do not use."),
    "PYDANTIC_DISABLE_PLUGINS": (
        "`__all__` in jobs",
        "names of plug-ins, or `__all__`",
        "Plug-ins of pydantic that are not loaded; jobs start faster without searching for them.",
    ),
    "ARROW_DEFAULT_MEMORY_POOL": (
        "`system` in jobs",
        "`system`",
        "Allocator of PyArrow. With `mimalloc`, its default, PyArrow 25.0.0 may crash when jobs read Parquet or CSV.",
    ),
    "LC_ALL": (
        "the locale of the system",
        "a locale",
        "Locale. Instead of one that Python does not know, `C.UTF-8` is used.",
    ),
    "PYTHONPATH": ("empty", "folders", "Folders with your own senders; see docs/extending.md."),
    "PYTHONTZPATH": (
        "the pinned package `tzdata`",
        "folders",
        "Folders of time zone rules, used instead of the package. The rules of the system are used only if named here.",
    ),
    "AWS_ENDPOINT_URL": (
        "the server of AWS",
        "a URL",
        "Server of s3:// URLs; must be the same on all workers of a cluster.",
    ),
    "AWS_ENDPOINT_URL_S3": ("`AWS_ENDPOINT_URL`", "a URL", "Server of s3:// URLs; takes precedence."),
    "STORAGE_EMULATOR_HOST": (
        "the server of Google",
        "a URL",
        "Server of gs:// URLs; must be the same on all workers of a cluster.",
    ),
    "NUMBA_DISABLE_JIT": ("`0`", "`0`, `1`", "Runs the decoders as plain Python, a hundred times slower; for tests."),
    "NUMBA_BOUNDSCHECK": ("`0`", "`0`, `1`", "Checks every index in the decoders; for tests."),
}
"""Variables that are read by a library, or by its rules: (default, allowed, meaning)."""


def table() -> str:
    """The tables of all groups."""
    made = [_table(title, [_row(name, field) for name, field in of.model_fields.items()]) for title, of in GROUPS]
    others = [_line(name, *described) for name, described in OF_LIBRARIES.items()]
    return "\n\n".join([*made, _table("Variables of libraries", others)])


def allowed(field: FieldInfo) -> str:
    """What the variable of `field` may be, in words."""
    if patterns := [one for one in field.metadata if isinstance(one, TextPattern)]:
        return patterns[0].words
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    return range_words(field) or "any text; or empty"


def _row(name: str, field: FieldInfo) -> str:
    return _line(name.upper(), default(field), allowed(field), field.description or "")


def default(field: FieldInfo) -> str:
    """The default as it is typed."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    text = (
        str(value).lower() if isinstance(value, bool) else f"{value:.10g}" if isinstance(value, float) else str(value)
    )
    return f"`{text}`" if text else "empty"


def _line(*cells: str) -> str:
    name, *others = cells
    return f"| `{name}` | {' | '.join(cell.removesuffix('.').replace('<', '&lt;') for cell in others)} |"


def _table(title: str, lines: list[str]) -> str:
    return "\n".join(
        [f"### {title}", "", "| variable | default | allowed | meaning |", "| --- | --- | --- | --- |", *lines]
    )


def with_table(text: str) -> str:
    """`text` with the table between its marks.

    :raises ValueError: it has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main(arguments: list[str]) -> str:
    """Write the table, or check whether it is current; returns an error, or an empty string."""
    text = README.read_text()
    made = with_table(text)
    if arguments == ["--check"]:
        return "" if made == text else "The settings in README.md are not current: run `make docs`"
    README.write_text(made)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)
