"""The named queries: the files of ``sql/analysis`` and their headers.

A file begins with a header, which is YAML in a comment. It has the fields of `Query`, those of its ``parameters``,
``reads`` and ``columns`` included; a query without parameters has ``parameters: []``::

    /*
    about: The total of each day.
    parameters: [{name: to, kind: day, default: last, about: the last day}]
    reads: [{table: daily, last: to}]
    columns: [{name: amount, kind: Int128, about: "sum of amounts, in CURRENCY"}]
    */
    SELECT …

`core.analysis.parameters` has the kinds of parameters, `core.analysis.tables` the tables that can be read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from core.calendar.periods import Mode
from core.errors import ServiceError, UsageError

FOLDER: Final = Path(__file__).parents[2] / "sql" / "analysis"

TABLES: Final = (*Mode, *(f"{mode}_series" for mode in Mode))
"""The tables that a header may list; see `core.analysis.tables`."""

_HEADER: Final = re.compile(r"/\*\n(.*?)\*/", re.DOTALL)
_STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=_STRICT)
class Parameter:
    """A parameter of a query.

    :param kind: the allowed values, such as ``day`` or ``integer>=1``.
    :param default: the default value, as text.
    """

    name: str
    kind: str
    default: str
    about: str


@dataclass(frozen=True, slots=True, config=_STRICT)
class Read:
    """A table that a query reads, and the parameters that bound its keys, both inclusive; None for no bound."""

    table: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class Column:
    """A column of the result: its Polars type, and its description with its unit."""

    name: str
    kind: str
    about: str

    @property
    def is_amount(self) -> bool:
        """Whether its values are amounts in minor units."""
        return "in CURRENCY" in self.about


@dataclass(frozen=True, slots=True, config=_STRICT)
class Query:
    """A named query.

    :param about: its description, in paragraphs separated by an empty line.
    :param sql: the whole file, in the dialect of Polars.
    :param file: its path, for messages.
    """

    name: str
    about: str
    parameters: tuple[Parameter, ...]
    reads: tuple[Read, ...]
    columns: tuple[Column, ...]
    sql: str
    file: str = ""

    @model_validator(mode="after")
    def _require_known_names(self) -> Query:
        known = {None, *(parameter.name for parameter in self.parameters)}
        for read in self.reads:
            if read.table not in TABLES:
                raise ValueError(f"there is no table {read.table}; the tables are {', '.join(TABLES)}")
            if not {read.first, read.last} <= known:
                raise ValueError(f"{read.table} is bounded by a name that is not a parameter")
        return self

    @property
    def purpose(self) -> str:
        """The first sentence of the description."""
        return self.about.partition("\n")[0]


_QUERY: Final = TypeAdapter(Query)


def all_queries(folder: Path | None = None) -> tuple[Query, ...]:
    """Every named query, by name.

    :param folder: a folder with more queries, which override queries of the same name.
    :raises UsageError: the folder does not exist.
    :raises ServiceError: the header of a file is invalid.
    """
    return tuple(map(_read_file, _paths(folder).values()))


def query_named(name: str, folder: Path | None = None) -> Query:
    """The query `name`; hyphens are equivalent to underscores.

    :param folder: see `all_queries`.
    :raises UsageError: the query does not exist, and the hint lists all; or the folder does not exist.
    :raises ServiceError: the header of its file is invalid.
    """
    paths = _paths(folder)
    path = paths.get(name) or paths.get(name.replace("-", "_"))
    if path is None:
        raise UsageError(f"there is no query {name!r}", f"The queries are {', '.join(paths)}.")
    return _read_file(path)


def _paths(folder: Path | None) -> dict[str, Path]:
    """The files of queries by name, in alphabetical order."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "Give a folder with files NAME.sql.")
    found = {path.stem: path for one in (FOLDER, folder) if one is not None for path in one.glob("*.sql")}
    return dict(sorted(found.items()))


def _read_file(path: Path) -> Query:
    shown = f"sql/analysis/{path.name}" if path.parent == FOLDER else str(path)
    try:
        return parse(path.stem, path.read_text("utf-8"), shown)
    except OSError as error:
        raise ServiceError(f"{shown} cannot be read: {error.strerror or error}", "Check its permissions.") from None
    except ValueError as error:
        raise ServiceError(
            f"the header of {shown} cannot be read: {error}", "Write it as in the files of sql/analysis."
        ) from None


def parse(name: str, sql: str, file: str = "") -> Query:
    """Parse the query `name` from the content `sql` of its file.

    :raises ValueError: its header is invalid.
    """
    if (header := _HEADER.match(sql)) is None:
        raise ValueError("it does not begin with a comment /* … */")
    try:
        # The base loader reads every scalar as text, also `to: 1` and `default: no`.
        loaded = yaml.load(header[1], yaml.BaseLoader)  # it constructs only text, lists and mappings
        fields = loaded if isinstance(loaded, dict) else {}
        return _QUERY.validate_python({**fields, "name": name, "sql": sql, "file": file})
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise ValueError(f"{place}: {wrong['msg']}" if place else wrong["msg"].removeprefix("Value error, ")) from None
