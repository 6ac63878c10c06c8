"""Local paths with wildcards. A folder that cannot be listed is an error; `glob` leaves it out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NoReturn

from core.errors import SourceError

_WILDCARDS: Final = frozenset("*?[")
_ANY_DEPTH: Final = "**"


def has_wildcards(path: str) -> bool:
    """Whether `path` has wildcards."""
    return not _WILDCARDS.isdisjoint(path)


def matching(pattern: str) -> list[str]:
    """The paths that match a pattern, sorted.

    ``*``, ``?`` and ``[…]`` stand for a part of a name, and ``**`` for any number of folders. A pattern with ``**``
    matches only files, one that ends with a slash only folders. Hidden names match only parts that begin with a point.

    :raises SourceError: a folder cannot be listed.
    """
    whole = Path(pattern, "*") if Path(pattern).name == _ANY_DEPTH else Path(pattern)
    found = {Path(whole.anchor)}
    for part in whole.relative_to(whole.anchor).parts:
        found = {path for folder in found for path in _below(folder, part)}
    try:
        if pattern.endswith("/"):
            found = {path for path in found if path.is_dir()}
        elif _ANY_DEPTH in whole.parts:
            found = {path for path in found if not path.is_dir()}
    except PermissionError as error:
        refuse_unlistable(OSError(error.errno, error.strerror, os.path.dirname(error.filename)))  # noqa: PTH120
    return sorted(map(str, found))


def refuse_unlistable(error: OSError) -> NoReturn:
    """Raise for a folder that cannot be listed.

    :raises SourceError: always.
    """
    raise SourceError(
        f"the folder {error.filename} cannot be listed: {error.strerror}", "Check its permissions, or name the files."
    ) from None


def _below(folder: Path, part: str) -> Iterator[Path]:
    """The paths in `folder` that match one part of a pattern."""
    if part == _ANY_DEPTH:
        for name, below, _ in os.walk(folder, onerror=_refuse_unless_missing, followlinks=True):
            below[:] = [one for one in below if not one.startswith(".")]
            yield Path(name)
        return
    try:
        if has_wildcards(part):
            names = [one for one in os.listdir(folder) if not one.startswith(".") or part.startswith(".")]  # noqa: PTH208
        else:
            (folder / part).lstat()
            names = [part]
    except OSError as error:
        _refuse_unless_missing(OSError(error.errno, error.strerror, str(folder)))
        return
    yield from (folder / one for one in names if fnmatchcase(one, part))


def _refuse_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        refuse_unlistable(error)
