"""Paths with wildcards, and the local files that match: a folder that cannot be listed is an error; `glob` omits it."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NoReturn

from core.errors import SourceError

_WILDCARDS: Final = frozenset("*?[")
_ANY_DEPTH: Final = "**"
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors of a path that leads to no folder; with the last one it is a link to itself."""


def has_wildcards(path: str) -> bool:
    """Whether `path`, of a file or an object, has wildcards."""
    return not _WILDCARDS.isdisjoint(path)


def matching(pattern: str) -> list[str]:
    """The paths that match a pattern, sorted.

    ``*``, ``?`` and ``[…]`` stand for a part of a name, and ``**`` for any number of folders. A pattern with ``**``
    matches only files, one that ends with a slash only folders. Hidden names match only parts that begin with a point.
    ``**`` follows symbolic links, but enters each folder once; links that lead back or to a folder below add nothing.

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
        yield from _folders_from(folder)
        return
    try:
        if has_wildcards(part):
            names = [one for one in os.listdir(folder) if not one.startswith(".") or part.startswith(".")]  # noqa: PTH208
        else:
            (folder / part).lstat()
            names = [part]
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or has_wildcards(part):  # no file has a name that is too long
            _refuse_unless_missing(OSError(error.errno, error.strerror, str(folder)))
        return
    yield from (folder / one for one in names if fnmatchcase(one, part))


def _folders_from(folder: Path) -> Iterator[Path]:
    """`folder` and all below that are not hidden, each once: by the path of a link only if it has no other below."""
    seen: set[tuple[int, int]] = set()
    links = deque([str(folder)])
    while links:
        for name, below, _ in os.walk(links.popleft(), onerror=_refuse_unless_missing):
            status = os.stat(name)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in seen:
                below.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            below[:] = sorted(one for one in below if not one.startswith("."))
            links += [path for one in below if os.path.islink(path := os.path.join(name, one))]  # noqa: PTH114, PTH118
            yield Path(name)


def _refuse_unless_missing(error: OSError) -> None:
    if error.errno not in _MISSING:
        refuse_unlistable(error)
