"""The command line: ``python -m jobs VERB …``.

Exit codes: 0 done, 1 failed, 2 usage, 3 too many rejects, 4 drift, 128 + n ended by signal n. A failure is one sentence
and a hint on standard error; with ``--json`` also an object on standard output.

Nothing heavy is imported until a verb runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # Until a verb deals with it, Ctrl-C ends the program by itself: no traceback out of the middle of an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="python -m jobs",
    help="Exact daily, weekly and monthly summaries of MongoDB transactions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: brackets stay, logs hold no boxes, and help need not load Rich
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ModeOption(StrEnum):
    """The modes, named here so that help does not import the calendar."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class MeasureOption(StrEnum):
    """What a summary shows."""

    AMOUNT = "amount"
    COUNT = "count"


class FormatOption(StrEnum):
    """How ``summary`` prints."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]
Store = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where summaries are kept. [default: STORE_URL]")
]
From = Annotated[str | None, typer.Option("--from", metavar="KEY", help="The first period, such as 1403/04/04.")]
To = Annotated[str | None, typer.Option("--to", metavar="KEY", help="The last period, inclusive.")]


@app.command()
def rebuild(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A .bson file, mongodump folder or archive, mongoexport JSON or CSV, or Parquet; plain or gzipped, "
            "told apart by content; - for standard input. Several add up.",
        ),
    ],
    truncate: Annotated[bool, typer.Option("--truncate", help="Replace everything the store holds.")] = False,
    first: From = None,
    last: To = None,
    collection: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Collection of a dump, or DATABASE.NAME. [default: transaction(s)]"),
    ] = None,
    merchant_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the merchant.")] = "merchantId",
    amount_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the amount.")] = "amount",
    time_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the time.")] = "createdAt",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="Count only documents with this value; may be repeated."),
    ] = None,
    max_reject_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Share of documents that may be rejected before nothing is published.")
    ] = 0.0,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Decoding threads. [default: THREADS, else one a core]")
    ] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Make summaries from an export.

    With --truncate the store then holds exactly what the sources hold; with --from/--to only those days are replaced,
    and their weeks and months derived anew; with neither, a store that is not empty refuses.
    """
    from jobs.commands import rebuild as command

    command.run(
        command.Options(
            tuple(sources), truncate, first, last, collection, merchant_field, amount_field, time_field,
            tuple(where or ()), max_reject_ratio, threads, store, as_json,
        )
    )  # fmt: skip


@app.command()
def status(
    run: Annotated[
        int | None, typer.Argument(metavar="[RUN]", min=1, max=2**63 - 1, help="A run's number: all about it.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many runs to list.")] = 10,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show what is published, and the latest runs."""
    from jobs.commands import status as command

    command.run(run, limit, store, as_json)


@app.command()
def summary(
    mode: Annotated[ModeOption, typer.Option(help="Length of the periods.")],
    measure: Annotated[MeasureOption, typer.Option("--type", help="What to show.")],
    merchant_id: Annotated[str | None, typer.Option(metavar="ID", help="One merchant. [default: all together]")] = None,
    first: From = None,
    last: To = None,
    form: Annotated[FormatOption, typer.Option("--format", help="How to print.")] = FormatOption.TABLE,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Print summaries as the API would answer."""
    from jobs.commands import summary as command

    command.run(str(mode), measure.value, merchant_id, first, last, "json" if as_json else str(form), store)


@app.command()
def sample(
    out: Annotated[
        Path, typer.Argument(help="File to write: .bson, .jsonl, else a mongodump archive; .gz compresses.")
    ],
    transactions: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="How many.")] = 100_000,
    merchants: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of how many merchants.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same file.")] = 1403,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write a sample export of one Jalali year.

    It is in the format of mongodump or mongoexport, whichever the name of the file asks for.
    """
    from jobs.commands import sample as command

    command.run(out, transactions, merchants, seed, force, as_json)


if __name__ == "__main__":
    app()
