"""The requests: paths of series, and files of them for the load generators."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import get_args

from bench.api.servers import Server
from bench.api.store import day_range
from bench.running import BenchFailed
from core.calendar import JalaliCalendar, Mode
from core.stores.summaries import Measure


def series_path(merchant_id: str | None, mode: str = "daily", measure: str = "amount") -> str:
    """The path and query of one series; None for all merchants together."""
    of_whom = "" if merchant_id is None else f"&merchant_id={merchant_id}"
    return f"/api/transactions/summary?mode={mode}&type={measure}{of_whom}"


def every_series(merchants: Sequence[str]) -> list[str]:
    """The paths of all series."""
    return [series_path(*asked) for asked in product([None, *merchants], Mode, get_args(Measure))]


def never_asked(merchants: Sequence[str]) -> Iterator[str]:
    """Paths of different daily series: of each merchant, then again up to ever earlier days."""
    days = day_range()
    periods = JalaliCalendar().periods(Mode.DAILY, days[0], days[-1])
    last_keys = [period.key for period in reversed(list(periods)[:-1])]
    for last_key, measure, merchant_id in product(("", *last_keys), get_args(Measure), merchants):
        yield series_path(merchant_id, "daily", measure) + (f"&to={last_key}" if last_key else "")


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """`path`, with `lines` in it."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def entity_tags(server: Server, paths: Iterable[str]) -> list[str]:
    """Each path with a tab and its ETag, which results in a 304 response.

    :raises BenchFailed: the response is not 304.
    """
    tagged = []
    for path in paths:
        tag = server.get(path)[1].get("ETag")
        if tag is None or server.get(path, {"If-None-Match": tag})[0] != 304:
            raise BenchFailed(f"{path} is not answered with 304 when its entity tag {tag} is known")
        tagged.append(f"{path}\t{tag}")
    return tagged


def body_digests(server: Server, paths: Iterable[str]) -> list[str]:
    """Each path with a tab and the SHA-256 of its body.

    :raises BenchFailed: a response was not 200.
    """
    return [f"{path}\t{hashlib.sha256(server.body(path)).hexdigest()}" for path in paths]
