"""Summaries, publications and runs for the tests of the stores, and other processes that use a store."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import polars as pl

from core.stores.run_lock import current_holder
from core.stores.runs import Holder, Run, RunStatus
from core.stores.summaries import SUMMARY_COLUMNS, Fingerprint, Publication

NOW_MS = 1_719_230_400_000
DAY_MS = 86_400_000
FINGERPRINT = Fingerprint(
    "Asia/Tehran", "jalali", "merchantId", "amount", "createdAt", (("status", "paid"), ("type", "خرید"))
)

Row = tuple[str, str, str | None, int, int, int, int]
"""One summary in the order of `SUMMARY_COLUMNS`, its instants as milliseconds since 1970 UTC."""


def row(mode: str, key: str, merchant_id: str | None, amount: int, count: int = 1, start_ms: int = NOW_MS) -> Row:
    """One summary that is a day long."""
    return mode, key, merchant_id, amount, count, start_ms, start_ms + DAY_MS


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    """`rows` as the frame that a store publishes."""
    instants = ("period_start", "period_end")
    texts = ("mode", "key", "merchant_id")
    schema = {name: pl.String if name in texts else pl.Int64 for name in SUMMARY_COLUMNS}
    plain = pl.DataFrame(rows, schema=schema, orient="row")
    return plain.with_columns(pl.col(instants).cast(pl.Datetime("ms", "UTC")))


def uniform(generation: int, merchants: int = 8, days: int = 10) -> pl.DataFrame:
    """Summaries of which each has the amount `generation`: a mix of two generations is seen at once."""
    names = [None, *(f"m{number:04d}" for number in range(merchants))]
    keys = [f"1403/{1 + day // 28:02d}/{1 + day % 28:02d}" for day in range(days)]
    return frame([row("daily", key, name, generation) for name in names for key in keys])


def publication(generation: int, rows: pl.DataFrame, run_id: int | None = None) -> Publication:
    """The publication of `rows`, by the run of the same number unless another is given."""
    daily = rows.filter(pl.col("mode") == "daily")["key"]
    return Publication(
        generation=generation,
        run_id=generation if run_id is None else run_id,
        published_at_ms=NOW_MS + generation,
        fingerprint=FINGERPRINT,
        rows=rows.height,
        first_day_key=str(daily.min()) if len(daily) else None,
        last_day_key=str(daily.max()) if len(daily) else None,
        total_amount=sum(rows["amount"].to_list()),
        total_count=sum(rows["count"].to_list()),
    )


def run(holder: Holder | None = None, at_ms: int = NOW_MS) -> Run:
    """A run that begins at `at_ms`, in this process unless another holder is given."""
    return Run(
        id=0,
        command="rebuild --truncate dump.archive",
        status=RunStatus.RUNNING,
        holder=holder or current_holder(),
        started_at_ms=at_ms,
        heartbeat_at_ms=at_ms,
        sources=("dump.archive",),
        fingerprint=FINGERPRINT,
    )


class Script:
    """A process that runs the script `name` of this folder, with pipes to its input and output.

    A context manager, which at the end of the block closes its input and waits for it, or kills it if the test fails.
    """

    def __init__(self, name: str, *arguments: str) -> None:
        from command_line import CommandLine  # which the scripts, that import this module too, do not need

        here, (their_input, ours_in), (ours_out, their_output) = Path(__file__).parent, os.pipe(), os.pipe()
        commands = CommandLine(here.parents[2])
        self._process = commands.start(
            *arguments, stdin=their_input, stdout=their_output, stderr=2, program=here / name
        )
        os.close(their_input)
        os.close(their_output)
        self.stdin, self.stdout = os.fdopen(ours_in, "w"), os.fdopen(ours_out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is not None:
            self.kill()
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()
        self._process.wait()

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._process.has_ended

    def tell(self, line: str) -> None:
        """Write a line to its input."""
        self.stdin.write(f"{line}\n")
        self.stdin.flush()

    def kill(self) -> None:
        """Kill it."""
        self._process.send(signal.SIGKILL)
