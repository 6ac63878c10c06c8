"""The command line: ``python -m jobs VERB …``.

Exit codes are in `EXIT_CODES`. A failure is one sentence and a hint on standard error; with ``--json`` also an object
on standard output, see `core.command_line`.

Nothing heavy is imported until a verb runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import gc
import os
import signal
import time

if __name__ == "__main__":
    # Until a verb handles signals, Ctrl-C ends the program without a traceback from the middle of an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # until everything is imported: see `importing`
    # NumPy's linear algebra, which is not used, starts a thread per core, and these wait actively at first. Pydantic
    # searches all installed packages for plug-ins.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from collections.abc import Callable
from functools import update_wrapper
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core.command_line import (
    Json,
    Program,
    Store,
    Version,
    command_group,
    edge,
    fail_of_memory,
    importing,
    opened,
    print_result,
)
from core.system_limits import within_memory

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 too many rejects, 4 drift found by verify, 5 would remove too many "
    "published transactions (see --allow-shrink), 128 + n ended by signal n."
)

app = command_group(
    "Exact daily, weekly and monthly summaries of MongoDB transactions.",
    cls=Program,
    name="python -m jobs",
    epilog=EXIT_CODES,
)
merchants = command_group("Import, list and remove the names of merchants.")
app.add_typer(merchants, name="merchants")


# Repeated here, so that help does not import the calendar.
Mode = Literal["daily", "weekly", "monthly"]
Measure = Literal["amount", "count"]
OutputFormat = Annotated[Literal["table", "json", "jsonl", "csv"], typer.Option("--format", help="Output format.")]
JsonLines = Annotated[bool, typer.Option("--json", help="The same as --format jsonl, one object per line.")]
Raw = Annotated[
    bool, typer.Option("--raw", help="In CSV, do not escape text that a spreadsheet would evaluate as a formula.")
]
Language = Literal["fa", "en"]
ExportFormat = Literal["parquet", "csv", "arrow"]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="KEY", help="First period, such as 1403/04/04, or a date in it such as 2024-06-24."),
]
To = Annotated[str | None, typer.Option("--to", metavar="KEY", help="Last period, inclusive.")]
FirstDay = Annotated[
    str | None,
    typer.Option("--from", metavar="DAY", help="First day: a key such as 1403/04/04, or a date such as 2024-06-24."),
]
LastDay = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, inclusive.")]
Collection = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Collection of a dump or server, or DATABASE.NAME. [default: transaction(s)]"),
]
CsvDelimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help="Field separator of CSV, such as ';' or tab. [default: CSV_DELIMITER, else from the header]",
    ),
]
AllowShrink = Annotated[
    bool,
    typer.Option(
        "--allow-shrink",
        help="Publish even if days lose more transactions than REFRESH_MAX_LOSS_RATIO and REFRESH_MAX_LOSS_COUNT "
        "allow. Otherwise the run stops with exit code 5.",
    ),
]
LookBack = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=36_500,
        metavar="DAYS",
        help="Days before the collection was last read that a refresh also recomputes. "
        "[default: REFRESH_LOOK_BACK_DAYS]",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Count on the workers of a Dask cluster: tcp://HOST:8786, or local:N for N processes on this host.",
    ),
]


def _reading(
    collection: Collection = None,
    merchant_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the merchant.")] = "merchantId",
    amount_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the amount.")] = "amount",
    time_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the time.")] = "createdAt",
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="Count only documents with this value; may be repeated."),
    ] = None,
    amount_scale: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=9,
            metavar="N",
            help="Decimal places of amounts: with 2, 12.5 is stored as 1250. Amounts with more places are rejected. "
            "[default: AMOUNT_SCALE]",
        ),
    ] = None,
    amount_text: Annotated[
        bool | None,
        typer.Option(
            "--amount-text/--no-amount-text",
            help="Accept text as amounts, such as -12.50 or ۱۲٫۵. [default: AMOUNT_TEXT]",
        ),
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of text and numbers as times: iso, epoch-s, epoch-ms, or a pattern such as '%Y/%m/%d'. "
            "[default: TIME_FORMAT]",
        ),
    ] = None,
    time_zone_of_text: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="Time zone of text without an offset, such as Asia/Tehran. [default: TIME_ZONE_OF_TEXT]",
        ),
    ] = None,
    csv_delimiter: CsvDelimiter = None,
    csv_decimal_comma: Annotated[
        bool | None,
        typer.Option(
            "--csv-decimal-comma/--no-csv-decimal-comma",
            help="Amounts in CSV have a decimal comma. [default: CSV_DECIMAL_COMMA]",
        ),
    ] = None,
    max_reject_ratio: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of documents that may be rejected; above it nothing is published."),
    ] = 0.0,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Decoding threads. [default: THREADS, else one per core]")
    ] = None,
    cursors: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Parallel cursors over a live collection. [default: SOURCE_CURSORS]"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000_000, help="Documents per batch of a live collection. [default: SOURCE_BATCH_SIZE]"
        ),
    ] = None,
    max_quarantine_mb: Annotated[
        int | None,
        typer.Option(
            "--max-quarantine-mb",
            min=0,
            max=1_048_576,
            metavar="MIB",
            help="Maximum size of the quarantine file; further rejects are only counted. [default: MAX_QUARANTINE_MB]",
        ),
    ] = None,
) -> None:
    """The options of all commands that read transactions, except the sources."""


Reading = dict[str, Any]
"""The values of the options of `_reading`, by name, and the default of ``--max-reject-ratio``."""


def reads(max_reject_ratio: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of `_reading` to a command, before ``--store``; it receives their values as its first argument.

    :param max_reject_ratio: the default of this option.
    """
    shared = signature(_reading, eval_str=True).parameters
    ratio = shared["max_reject_ratio"].replace(default=max_reject_ratio)

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        def run(**typed: Any) -> None:
            given = {name: typed.pop(name) for name in shared}
            command(given | {"usual_reject_ratio": max_reject_ratio}, **typed)

        _, *own = signature(command, eval_str=True).parameters.values()
        options = [*own[:-2], *(shared | {ratio.name: ratio}).values(), *own[-2:]]
        vars(run)["__signature__"] = Signature(options)  # which Typer reads
        return update_wrapper(run, command, assigned=("__name__", "__doc__"))

    return decorated


@app.callback()
def _common(version: Version = False) -> None:
    pass


@app.command()
def inspect(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="One source, as for rebuild. [default: SOURCE_URL]")
    ] = None,
    collection: Collection = None,
    documents: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many documents to read.")] = 1000,
    csv_delimiter: CsvDelimiter = None,
    as_json: Json = False,
) -> None:
    """Show the fields of a source, and suggest the command to run.

    Reads only the first documents, and changes nothing. Examples show only scheme and host of URLs.
    """
    with importing():
        from jobs.cli import inspect as command

    command.run(source, collection, documents, csv_delimiter, as_json)


@app.command()
@reads(max_reject_ratio=0.0)
def rebuild(
    reading: Reading,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="A .bson file, mongodump folder or archive, mongoexport JSON or CSV, or Parquet; plain or gzipped; "
            "a folder of files of one format or with a dump per shard; "
            "a URL of these at s3://, gs:// or https://, with wildcards; - for standard input; "
            "mongodb://host/database for a live collection. Several are added up. [default: SOURCE_URL]",
        ),
    ] = None,
    truncate: Annotated[bool, typer.Option("--truncate", help="Replace all summaries of the store.")] = False,
    first: FirstDay = None,
    last: LastDay = None,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Publish even if no document is counted.")] = False,
    allow_shrink: Annotated[
        bool,
        typer.Option(
            "--allow-shrink",
            help="Publish even if this removes more than half of the published transactions of the replaced days. "
            "Otherwise the run stops with exit code 5.",
        ),
    ] = False,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Store the results of finished parts of the sources in this folder, or at a URL such as s3://…. "
            "After a kill, the same command reuses them. They are deleted after publishing.",
        ),
    ] = None,
    keep_checkpoint: Annotated[
        bool, typer.Option("--keep-checkpoint", help="Do not delete the results of --checkpoint after publishing.")
    ] = False,
    cluster: Cluster = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Build summaries from an export or a live collection.

    --truncate replaces everything. --from and --to replace only these days and recompute their weeks and months. One
    of them is required unless the store is empty.
    """
    with importing():
        from jobs.cli import rebuild as command
        from jobs.cli.reading_options import ReadingOptions

    options = ReadingOptions(tuple(sources or ()), **reading)
    command.run(
        options, truncate, first, last, allow_empty, allow_shrink, checkpoint, keep_checkpoint, cluster, store, as_json
    )


@app.command()
@reads(max_reject_ratio=0.001)
def refresh(
    reading: Reading,
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="mongodb://host/database. [default: SOURCE_URL]")
    ] = None,
    updated_field: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Field with the time of a document's last change, to find changes on older days too."
        ),
    ] = None,
    look_back: LookBack = None,
    allow_shrink: AllowShrink = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Update the summaries of a live collection.

    Recomputes the days since the collection was last read, and some days before. Publishes those that changed, with
    their weeks and months. Counts everything if the store is empty.

    A day with fewer documents than before keeps its published totals if it is not later than the day of the oldest
    document, because its documents may have been deleted on purpose. A later day is replaced, with a warning. If one
    later day, all of them together, or those without documents lose more than REFRESH_MAX_LOSS_RATIO and
    REFRESH_MAX_LOSS_COUNT, nothing is published (exit code 5).
    """
    with importing():
        from jobs.cli import refresh as command
        from jobs.cli.reading_options import ReadingOptions

    options = ReadingOptions(() if source is None else (source,), **reading)
    command.run(options, updated_field, look_back, allow_shrink, store, as_json)


@app.command()
@reads(max_reject_ratio=0.001)
def verify(
    reading: Reading,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE...", help="As for rebuild; must contain all days that are compared."),
    ] = None,
    first: FirstDay = None,
    last: LastDay = None,
    look_back: LookBack = None,
    repair: Annotated[bool, typer.Option("--repair", help="Correct the periods that differ.")] = False,
    allow_shrink: AllowShrink = False,
    limit: Annotated[int, typer.Option(min=1, max=2**31, help="Maximum number of differences to list.")] = 50,
    cluster: Cluster = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Recount the source, and compare it with the summaries.

    Ends with exit code 4 if they differ. Without --to, days of a live collection that the next refresh recomputes are
    not compared. A day with fewer documents than before is not drift if it is not later than the day of the oldest
    document, because its documents may have been deleted on purpose. A repair that would remove too much is not
    published (exit code 5).
    """
    with importing():
        from jobs.cli import verify as command
        from jobs.cli.reading_options import ReadingOptions

    options = ReadingOptions(tuple(sources or ()), **reading)
    command.run(options, first, last, look_back, repair, allow_shrink, limit, cluster, store, as_json)


@app.command()
def status(
    run: Annotated[
        int | None, typer.Argument(metavar="[RUN]", min=1, max=2**63 - 1, help="Number of a run: show its details.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of runs to list.")] = 10,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show what is published, and the latest runs."""
    with importing():
        from jobs.cli import status as command

    command.run(run, limit, store, as_json)


@app.command()
def summary(
    mode: Annotated[Mode, typer.Option(help="Length of the periods.")],
    measure: Annotated[Measure, typer.Option("--type", help="Amount or number of transactions.")],
    merchant_id: Annotated[str | None, typer.Option(metavar="ID", help="One merchant. [default: all together]")] = None,
    first: From = None,
    last: To = None,
    form: OutputFormat = "table",
    store: Store = None,
    as_json: JsonLines = False,
) -> None:
    """Print a series of summaries, as the API returns it."""
    with importing():
        from jobs.cli import summary as command

    command.run(mode, measure, merchant_id, first, last, "jsonl" if as_json else form, store)


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def query(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of a query, such as top_merchants.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the queries; with NAME, describe that query.")] = False,
    queries: Annotated[
        Path | None, typer.Option("--queries", metavar="DIR", help="Folder with your own queries: NAME.sql.")
    ] = None,
    form: OutputFormat = "table",
    raw: Raw = False,
    store: Store = None,
    as_json: JsonLines = False,
    wants_help: Annotated[
        bool, typer.Option("--help", "-h", help="Show this message; with NAME, the parameters of that query.")
    ] = False,
) -> None:
    """Run a named SQL query on the summaries.

    Queries are in sql/analysis, or in your own folder. Give parameters as --parameter VALUE; all have defaults.
    """
    if wants_help and name is None:
        typer.echo(context.get_help())
        return
    with importing():
        from jobs.cli import query as command

    command.run(name, context.args, queries, listing or wants_help, "jsonl" if as_json else form, raw, store)


@app.command()
def export(
    out: Annotated[
        str,
        typer.Argument(
            help="File to write; its extension selects the format. Also s3://… or gs://…; - for standard output."
        ),
    ],
    mode: Annotated[Mode, typer.Option(help="Length of the periods.")],
    form: Annotated[
        ExportFormat | None, typer.Option("--format", help="Format. [default: the extension of OUT]")
    ] = None,
    first: From = None,
    last: To = None,
    partitioned: Annotated[
        bool, typer.Option("--partitioned", help="Write a folder of Parquet files, mode=…/year=….")
    ] = False,
    overall: Annotated[
        bool, typer.Option("--overall", help="Include the rows of all merchants together (merchant_id null).")
    ] = False,
    raw: Raw = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Write the summaries of all merchants as Parquet, CSV or Arrow.

    An export is of one publication and needs bounded memory. A data dictionary is written next to the file, and into
    Parquet and Arrow.
    """
    with importing():
        from jobs.cli import export as command

    command.run(out, mode, form, first, last, partitioned, overall, raw, force, store, as_json)


@app.command()
def sample(
    out: Annotated[
        Path, typer.Argument(help="File to write: .bson, .jsonl, or else a mongodump archive; .gz compresses.")
    ],
    transactions: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="Number of transactions.")] = 100_000,
    merchants: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of merchants.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same file.")] = 1403,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write a generated export of one Jalali year.

    The extension of the file selects the format.
    """
    with importing():
        from jobs.runs.signals import signals_as_errors
        from jobs.sample import SampleRequest, write_sample

    with edge(as_json), signals_as_errors():
        written = write_sample(out, SampleRequest(transactions, merchants, seed), replace=force)
    print_result(
        as_json,
        {"path": str(out), "form": written.file_format, "bytes": written.size, "transactions": transactions},
        f"Wrote {transactions:,} transactions to {out} ({written.file_format}, {written.size:,} bytes).",
    )


@app.command()
def prune(
    older_than: Annotated[int, typer.Option(min=1, max=36_500, metavar="DAYS", help="Minimum age in days.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Remove old quarantine files, and old rows of the ledger.

    Summaries do not change. The latest 100 runs and publications, the run that made the current publication, and the
    quarantine file of that run are never removed.
    """
    with importing():
        from core.instants import iso_instant, to_the_second
        from core.stores import wall_clock_ms
        from jobs.prune import find_prunable, remove
        from jobs.runs.signals import signals_as_errors

    with edge(as_json), signals_as_errors(), opened(store) as (settings, stores):
        before_ms = wall_clock_ms() - older_than * 86_400_000
        prunable = find_prunable(stores, settings.quarantine_dir, before_ms)
        if not dry_run:
            remove(stores, prunable)
        files, runs, publications = map(len, (prunable.files, prunable.runs, prunable.publications))
        counts = {"files": files, "bytes": prunable.size, "runs": runs, "publications": publications}
        print_result(
            as_json,
            {**counts, "before": iso_instant(before_ms), "dry_run": dry_run},
            f"{'Would remove' if dry_run else 'Removed'} {files:,} quarantine files ({prunable.size:,} bytes), "
            f"{runs:,} runs and {publications:,} publications from before {to_the_second(before_ms)}.",
        )


@app.command()
def warm(as_json: Json = False) -> None:
    """Compile the decoders now.

    Otherwise the first run compiles them, which takes five to twenty seconds.
    """
    with importing():
        from jobs.runs.signals import signals_as_errors
        from jobs.warm import warm as compile_decoders

    began = time.monotonic()
    with edge(as_json), signals_as_errors():
        file_formats = compile_decoders()
    seconds = time.monotonic() - began
    print_result(
        as_json,
        {"forms": file_formats, "seconds": round(seconds, 3)},
        f"Ready to read {', '.join(file_formats)}, after {seconds:.1f} s.",
    )


@merchants.command("import")
def import_merchants(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="CSV with a header, JSON lines or any other format that rebuild reads; - for standard input; "
            "mongodb://host/database for a collection.",
        ),
    ],
    collection: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Collection of a server or dump, or DATABASE.NAME. [default: merchants]"),
    ] = None,
    id_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the id of the merchant.")] = "id",
    name_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the name.")] = "name",
    language_field: Annotated[str, typer.Option(metavar="PATH", help="Field of the language, fa or en.")] = "language",
    language: Annotated[
        Language | None, typer.Option(help="Language of all names, instead of --language-field.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Also remove names that SOURCE does not have; with --language only names in that language.",
        ),
    ] = False,
    csv_delimiter: CsvDelimiter = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would change; write nothing.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Import names of merchants.

    Each row has an id, a name and its language. Imports all rows, or none if one is invalid (exit code 3). Names that
    are not in SOURCE do not change. If a merchant has no name in the language of the reader, the API and the dashboard
    show the name in the other language.
    """
    with importing():
        from jobs.cli import merchants as command

    fields = command.NameFields(id_field, name_field, language_field, language)
    command.import_names(source, collection, fields, replace, csv_delimiter, dry_run, store, as_json)


@merchants.command("list")
def list_merchants(
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only merchants with this text in their id or a name.")
    ] = None,
    unnamed: Annotated[
        bool, typer.Option("--unnamed", help="List the merchants with summaries that have no name.")
    ] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """List the names of merchants, by id.

    You can import the output of --json with merchants import.
    """
    with importing():
        from jobs.cli import merchants as command

    command.show(search, unnamed, store, as_json)


@merchants.command("remove")
def remove_merchants(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of the merchants.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Remove the names of all merchants.")] = False,
    language: Annotated[Language | None, typer.Option(help="Only names in this language.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Remove names of merchants.

    Summaries do not change. Names that do not exist are ignored.
    """
    with importing():
        from jobs.cli import merchants as command

    command.remove(tuple(ids or ()), every, language, dry_run, store, as_json)


if __name__ == "__main__":
    within_memory(app, fail_of_memory)
