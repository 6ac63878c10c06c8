"""The named queries: the files of ``sql/analysis``, and what their headers say of them.

A file begins with a comment of paragraphs, of which the first sentence is the purpose, and of the sections
``Parameters:``, ``Reads:`` and ``Columns:``. A line of a section is a name, two blanks or more, what it is, and, again
after two blanks or more, words about it::

    -- Parameters:
    --   limit   integer>=1 = 10  how many places
    -- Reads:
    --   daily   [from, to]
    -- Columns:
    --   amount  Int128           sum of amounts, in CURRENCY

`core.analysis.parameters` has the kinds of parameters, `core.analysis.tables` the tables that can be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Final

from core.calendar.periods import Mode
from core.errors import ServiceError, UsageError

FOLDER: Final = Path(__file__).parents[2] / "sql" / "analysis"

TABLES: Final = (*Mode, *(f"{mode}_series" for mode in Mode))
"""The tables that a header may name; see `core.analysis.tables`."""

_SECTIONS: Final = ("Parameters", "Reads", "Columns")
_BOUNDS: Final = re.compile(r"\[(\*|\w+), (\*|\w+)\]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a query can be asked with.

    :param kind: which values are allowed, such as ``day`` or ``integer>=1``.
    :param default: the value when none is given, as text.
    :param about: what it means.
    """

    name: str
    kind: str
    default: str
    about: str


@dataclass(frozen=True, slots=True)
class Read:
    """A table that a query reads, and the parameters that bound its keys, both inclusive; None for no bound."""

    table: str
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the answer: its Polars type, and its meaning with its unit."""

    name: str
    kind: str
    about: str


@dataclass(frozen=True, slots=True)
class Query:
    """A named query.

    :param about: its purpose and what there is to know, paragraphs apart by an empty line.
    :param sql: the whole file, in the dialect of Polars.
    :param file: where it is, for messages.
    """

    name: str
    about: str
    parameters: tuple[Parameter, ...]
    reads: tuple[Read, ...]
    columns: tuple[Column, ...]
    sql: str
    file: str = ""

    @property
    def purpose(self) -> str:
        """The first sentence of what it is about."""
        return self.about.partition("\n")[0]


def all_queries(folder: Path | None = None) -> tuple[Query, ...]:
    """Every named query, by name.

    :param folder: a folder with more queries, of which one goes before a query of the same name that is there anyway.
    :raises UsageError: there is no such folder.
    :raises ServiceError: the header of a file is not of the form that this module describes.
    """
    return tuple(map(_read_file, _paths(folder).values()))


def query_named(name: str, folder: Path | None = None) -> Query:
    """The query `name`; a hyphen is as good as an underscore.

    :param folder: as for `all_queries`.
    :raises UsageError: there is none, and the hint names those there are; or no such folder.
    :raises ServiceError: the header of its file is not of the form that this module describes.
    """
    paths = _paths(folder)
    path = paths.get(name) or paths.get(name.replace("-", "_"))
    if path is None:
        raise UsageError(f"there is no query {name!r}", f"There are {', '.join(paths)}.")
    return _read_file(path)


def _paths(folder: Path | None) -> dict[str, Path]:
    """The files of queries by name, in alphabetical order."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "Name one that holds queries: files NAME.sql.")
    found = {path.stem: path for one in (FOLDER, folder) if one is not None for path in one.glob("*.sql")}
    return dict(sorted(found.items()))


def _read_file(path: Path) -> Query:
    shown = f"sql/analysis/{path.name}" if path.parent == FOLDER else str(path)
    try:
        return replace(parse(path.stem, path.read_text("utf-8")), file=shown)
    except OSError as error:
        raise ServiceError(f"{shown} cannot be read: {error.strerror or error}", "Check its permissions.") from None
    except ValueError as error:
        raise ServiceError(
            f"the header of {shown} cannot be read: {error}", "Write it as in the files of sql/analysis."
        ) from None


def parse(name: str, sql: str) -> Query:
    """The query `name` whose file holds `sql`.

    :raises ValueError: its header is not of the form that this module describes.
    """
    lines = [line[2:].strip() for line in takewhile(lambda line: line.startswith("--"), sql.splitlines())]
    starts = [lines.index(f"{section}:") for section in _SECTIONS]
    ends = [*starts[1:], len(lines)]
    parameters, reads, columns = (
        [re.split(r"\s{2,}", line) for line in lines[start + 1 : end]] for start, end in zip(starts, ends, strict=True)
    )
    asked = tuple(map(_parameter, parameters))
    return Query(
        name,
        "\n".join(lines[: starts[0]]).strip(),
        asked,
        tuple(_read(line, [parameter.name for parameter in asked]) for line in reads),
        tuple(Column(*_fields(line, 3)) for line in columns),
        sql,
    )


def _fields(line: Sequence[str], wanted: int) -> Sequence[str]:
    if len(line) != wanted:
        raise ValueError(f"{'  '.join(line)!r} has not {wanted} fields, two blanks apart")
    return line


def _parameter(line: Sequence[str]) -> Parameter:
    name, kind_and_default, about = _fields(line, 3)
    kind, _, default = kind_and_default.partition(" = ")
    return Parameter(name, kind, default, about)


def _read(line: Sequence[str], parameters: Sequence[str]) -> Read:
    table, bounds = _fields(line, 2)
    found = _BOUNDS.fullmatch(bounds)
    if found is None or table not in TABLES:
        raise ValueError(f"{'  '.join(line)!r} is not a table and [first, last]")
    first, last = (None if bound == "*" else bound for bound in found.groups())
    if not {first, last} <= {None, *parameters}:
        raise ValueError(f"{'  '.join(line)!r} is bounded by what is no parameter")
    return Read(table, first, last)
