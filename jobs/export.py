"""Exports the summaries of a mode as a file or as a folder of Parquet files, with a data dictionary.

An export is of one publication. It is written under a temporary name and renamed when complete. For a bucket it is
written to a temporary folder first, and the dictionary is uploaded last.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from core import __version__
from core.calendar import calendar_named
from core.calendar.periods import Mode
from core.csv_cells import spreadsheet_safe
from core.errors import ServiceError, StoreBusy, UsageError
from core.instants import iso_instant, iso_instant_or_none
from core.stores.frames import from_batches
from core.stores.summaries import Publication, Scan, SummaryStore, require_published
from jobs.sources.remote.url import GOOGLE, S3, is_remote, require_readable, scheme_of

STANDARD_OUTPUT: Final = "-"
_ATTEMPTS: Final = 5
_YEAR_DIGITS: Final = 4
_INSTANT: Final = pa.timestamp("ms", "UTC")
_DICTIONARY_ENDING: Final = ".dictionary.json"
_DICTIONARY_INSIDE: Final = "_dictionary.json"
"""Other programs skip files whose name begins with an underscore."""


class Format(StrEnum):
    """File formats."""

    PARQUET = "parquet"
    CSV = "csv"
    ARROW = "arrow"


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an export."""

    name: str
    type: pa.DataType
    unit: str
    about: str


COLUMNS: Final = (
    ExportColumn("mode", pa.string(), "", "daily, weekly or monthly"),
    ExportColumn("key", pa.string(), "", "the period in the calendar of the store, such as 1403/04/04; sorts as text"),
    ExportColumn("merchant_id", pa.string(), "", "the merchant; null for all merchants together (--overall only)"),
    ExportColumn(
        "amount",
        pa.int64(),
        "currency",
        "the exact sum of the amounts of its transactions, in minor units; refunds lower it",
    ),
    ExportColumn("count", pa.int64(), "transactions", "the number of its transactions"),
    ExportColumn("period_start", _INSTANT, "", "the first instant of the period, UTC"),
    ExportColumn("period_end", _INSTANT, "", "the first instant after the period, UTC"),
)
"""One row per merchant and period with transactions."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The parameters of an export.

    :param out: path or bucket URL of a file, or with `partitioned` of a folder; ``-`` for standard output.
    :param first_key: the earliest key, inclusive; None for no bound. Likewise `last_key`.
    :param partitioned: whether to write a folder of Parquet files, ``mode=…/year=…``.
    :param overall: whether to include the overall summaries.
    :param raw: whether to write CSV cells unescaped that a spreadsheet would interpret as formulas.
    :param replace: whether an existing `out` may be replaced.
    :param currency: the unit of amounts if the store does not have it; or empty.
    """

    out: str
    format: Format
    mode: Mode
    first_key: str | None = None
    last_key: str | None = None
    partitioned: bool = False
    overall: bool = False
    raw: bool = False
    replace: bool = False
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export.

    :param rows: number of summaries.
    :param dictionary: the content of the data dictionary.
    :param dictionary_path: its file; None on standard output.
    """

    rows: int
    dictionary: Mapping[str, Any]
    dictionary_path: str | None


def export(summaries: SummaryStore, request: ExportRequest, progress: Callable[[int], None]) -> Exported:
    """Write an export.

    :param progress: called with the number of summaries written so far.
    :raises UsageError: parameters contradict each other.
    :raises StoreBusy: other runs kept publishing while the store was read.
    :raises ServiceError: nothing is published, `out` exists, or it cannot be written.
    """
    require_possible(request)
    if request.out == STANDARD_OUTPUT:
        try:
            rows, dictionary = _written(summaries, request, sys.stdout.buffer, progress)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ServiceError(
                f"standard output cannot be written: {error.strerror or error}",
                "Free some space, or write to another place.",
            ) from None
        return Exported(rows, dictionary, None)
    if is_remote(request.out):
        return _uploaded(summaries, request, progress)
    out = Path(os.path.abspath(request.out))  # noqa: PTH100 - without the dots, unlike Path.absolute
    staged = out.with_name(f".{out.name}.{os.getpid()}.partial")
    sidecar, staged_sidecar = _dictionary_beside(out), _dictionary_beside(staged)
    try:
        _require_free(out, request)
        try:
            rows, dictionary = _staged(summaries, request, staged, progress)
            text = _text_of(dictionary)
            if request.partitioned:
                sidecar = out / _DICTIONARY_INSIDE
                (staged / _DICTIONARY_INSIDE).write_text(text, "utf-8")
                _replace_folder(staged, out)
            else:
                staged_sidecar.write_text(text, "utf-8")
                _sync(staged)
                staged.replace(out)
                staged_sidecar.replace(sidecar)
        finally:
            _remove(staged)
            _remove(staged_sidecar)
    except OSError as error:
        raise ServiceError(
            f"{out} cannot be written: {error.strerror or error}", "Free some space, or write to another place."
        ) from None
    return Exported(rows, dictionary, str(sidecar))


def _uploaded(summaries: SummaryStore, request: ExportRequest, progress: Callable[[int], None]) -> Exported:
    """Export to a bucket, with credentials of the environment."""
    from jobs.sources.remote.storage import file_system_at

    files, path = file_system_at(request.out.rstrip("/"), request.out)
    sidecar = f"{path}/{_DICTIONARY_INSIDE}" if request.partitioned else path + _DICTIONARY_ENDING
    try:
        taken = set(files.find(path))
        is_other_kind = any((name == path) == request.partitioned for name in taken)
        _require_replaceable(request, request.out, is_other_kind=is_other_kind, is_taken=bool(taken))
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            staged = Path(folder) / "export"
            rows, dictionary = _staged(summaries, request, staged, progress)
            written = {f"{path}/{file.relative_to(staged)}": file for file in staged.rglob("*") if file.is_file()}
            for name, file in (written or {path: staged}).items():
                files.put_file(str(file), name)
        for name in taken - written.keys() - {path, sidecar}:  # of the replaced export
            files.rm_file(name)
        files.pipe_file(sidecar, _text_of(dictionary).encode())
    except ServiceError:
        raise
    except Exception as error:  # each storage library has its own exceptions
        raise ServiceError(
            f"{request.out} cannot be written ({type(error).__name__})",
            "Check the bucket, the credentials in the environment, and the space for temporary files.",
        ) from None
    return Exported(rows, dictionary, f"{scheme_of(request.out)}://{sidecar}")


def _require_replaceable(request: ExportRequest, out: object, *, is_other_kind: bool, is_taken: bool) -> None:
    if is_other_kind:
        what = "not a folder" if request.partitioned else "a folder"
        raise UsageError(f"{out} is {what}", "--partitioned writes a folder; without it, a file is written.")
    if is_taken and not request.replace:
        raise UsageError(f"{out} already exists", "Choose another path, or replace it with --force.")


def _text_of(dictionary: Mapping[str, Any]) -> str:
    return json.dumps(dictionary, ensure_ascii=False, indent=2) + "\n"


def require_possible(request: ExportRequest) -> None:
    """Raise if the parameters contradict each other.

    :raises UsageError: names the contradiction.
    """
    if is_remote(request.out):
        if scheme_of(request.out) not in S3 | GOOGLE:
            raise UsageError(
                f"{scheme_of(request.out)}:// cannot be written to", "Name a file, a folder, or a URL s3://… or gs://…."
            )
        require_readable(request.out)
    if request.partitioned and (request.format != Format.PARQUET or request.out == STANDARD_OUTPUT):
        raise UsageError("--partitioned writes a folder of Parquet files", "Name a folder, and omit --format.")
    if request.raw and request.format != Format.CSV:
        raise UsageError("--raw is for CSV only", "Parquet and Arrow always have the values unchanged.")


def _require_free(out: Path, request: ExportRequest) -> None:
    if not out.parent.is_dir():
        raise ServiceError(f"the folder {out.parent} does not exist", "Create it first.")
    if out.exists() and not (out.is_file() or out.is_dir()):
        raise UsageError(f"{out} is not a regular file", "Name a file; - is standard output.")
    is_other_kind = out.is_dir() != request.partitioned and (out.exists() or out.is_symlink())
    is_taken = any(out.iterdir()) if out.is_dir() else out.exists()
    _require_replaceable(request, out, is_other_kind=is_other_kind, is_taken=is_taken)
    dictionary = _dictionary_beside(out)
    if not request.partitioned and dictionary.is_dir():
        raise UsageError(f"{dictionary} is a folder", "The data dictionary needs this name: choose another path.")


def _dictionary_beside(file: Path) -> Path:
    """The path of the data dictionary of an exported file."""
    return file.with_name(file.name + _DICTIONARY_ENDING)


def _staged(
    summaries: SummaryStore, request: ExportRequest, staged: Path, progress: Callable[[int], None]
) -> tuple[int, dict[str, Any]]:
    """Write to `staged`; starts again if another run publishes meanwhile."""
    for attempt in range(1, _ATTEMPTS + 1):
        _remove(staged)
        try:
            if request.partitioned:
                staged.mkdir()
                return _written(summaries, request, staged, progress)
            with staged.open("wb") as file:
                return _written(summaries, request, file, progress)
        except StoreBusy:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _written(
    summaries: SummaryStore, request: ExportRequest, out: IO[bytes] | Path, progress: Callable[[int], None]
) -> tuple[int, dict[str, Any]]:
    """Write one publication to `out`; returns the number of summaries and the data dictionary."""
    with summaries.scan(request.mode, request.first_key, request.last_key, overall=request.overall) as found:
        scan = require_published(found)
        _require_keys_of(scan.publication, request)
        dictionary = data_dictionary(request, scan)
        schema = schema_of(dictionary)
        rows = 0

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in scan.batches:
                frame = from_batches([batch])
                if request.format == Format.CSV and not request.raw:
                    frame = spreadsheet_safe(frame)
                yield from frame.to_arrow().cast(schema).to_batches()
                rows += len(batch)
                progress(rows)

        if isinstance(out, Path):
            _write_folder(out, schema, batches(), request)
        else:
            _WRITERS[request.format](out, schema, batches())
    return rows, {**dictionary, "rows": rows}


def _require_keys_of(publication: Publication, request: ExportRequest) -> None:
    """Raise if another run has published with another calendar since the keys of the request were made."""
    calendar = calendar_named(publication.fingerprint.calendar)
    try:
        for key in filter(None, (request.first_key, request.last_key)):
            calendar.parse(request.mode, key)
    except ValueError as error:
        raise UsageError(str(error), "Use keys of the published calendar.") from None


def data_dictionary(request: ExportRequest, scan: Scan) -> dict[str, Any]:
    """The data dictionary of an export, for people and programs."""
    publication = scan.publication
    fingerprint = publication.fingerprint
    currency = fingerprint.unit(request.currency)
    return {
        "about": "Summaries of transactions: one row per merchant and period with transactions.",
        "program": f"transaction-summary-service {__version__}",
        "mode": request.mode.value,
        "first_key": request.first_key,
        "last_key": request.last_key,
        "overall_rows": request.overall,
        "currency": currency,
        "scale": fingerprint.amount_scale,
        "calendar": fingerprint.calendar,
        "time_zone": fingerprint.time_zone,
        "time_zone_rules": fingerprint.zone_rules_source,
        "merchant_field": fingerprint.merchant_field,
        "amount_field": fingerprint.amount_field,
        "time_field": fingerprint.time_field,
        "filters": [f"{path}={value}" for path, value in fingerprint.where],
        "generation": publication.generation,
        "run": publication.run_id,
        "published_at": iso_instant(publication.published_at_ms),
        "complete_until": iso_instant_or_none(publication.complete_until_ms),
        "spreadsheet_safe": request.format == Format.CSV and not request.raw,
        "columns": [
            {
                "name": column.name,
                "type": str(column.type),
                "unit": currency if column.unit == "currency" else column.unit or None,
                "nullable": column.name == "merchant_id" and request.overall,
                "about": column.about,
            }
            for column in COLUMNS
        ],
    }


def schema_of(dictionary: Mapping[str, Any]) -> pa.Schema:
    """The schema of an export, with the data dictionary in the metadata of columns and table."""
    fields = [
        pa.field(
            column.name,
            column.type,
            nullable=about["nullable"],
            metadata={key: about[key] for key in ("about", "unit") if about[key]},
        )
        for column, about in zip(COLUMNS, dictionary["columns"], strict=True)
    ]
    return pa.schema(fields, {"dictionary": json.dumps(dictionary, ensure_ascii=False)})


def _write_parquet(out: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_arrow(out: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    # Arrow's file format has its index at the end, so a pipe gets the stream format.
    open_writer = pa.ipc.new_stream if out is sys.stdout.buffer else pa.ipc.new_file
    with open_writer(out, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_csv(out: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import polars as pl

    out.write((",".join(schema.names) + "\n").encode())
    for batch in batches:
        text = pl.DataFrame(batch).write_csv(include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.3fZ")
        out.write(text.encode())  # not by Polars, which raises another error for a closed pipe


_WRITERS: Final[Mapping[Format, Callable[[IO[bytes], pa.Schema, Iterator[pa.RecordBatch]], None]]] = {
    Format.PARQUET: _write_parquet,
    Format.ARROW: _write_arrow,
    Format.CSV: _write_csv,
}


_ROWS_IN_GROUP: Final = 50_000


def _write_folder(out: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch], request: ExportRequest) -> None:
    import pyarrow.compute as pc
    from pyarrow import dataset

    years = pa.field("year", pa.string(), nullable=False)
    partitioned = schema.append(years)

    def with_years() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            year = pc.utf8_slice_codeunits(batch["key"], 0, _YEAR_DIGITS)
            yield pa.RecordBatch.from_arrays([*batch.columns, year], schema=partitioned)

    try:
        str(out).encode()
    except UnicodeEncodeError:
        raise UsageError(f"the path of {request.out} is not UTF-8, as PyArrow needs", "Name another folder.") from None
    parquet = dataset.ParquetFileFormat()
    dataset.write_dataset(
        with_years(),
        out,
        schema=partitioned,
        format=parquet,
        file_options=parquet.make_write_options(compression="zstd"),
        partitioning=dataset.partitioning(pa.schema([schema.field("mode"), years]), flavor="hive"),
        use_threads=False,
        min_rows_per_group=_ROWS_IN_GROUP,
        max_rows_per_group=2 * _ROWS_IN_GROUP,
    )


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _replace_folder(staged: Path, out: Path) -> None:
    if not out.exists():
        staged.replace(out)
        return
    retired = out.with_name(f".{out.name}.{os.getpid()}.retired")
    out.replace(retired)
    try:
        staged.replace(out)
    except BaseException:
        retired.replace(out)
        raise
    _remove(retired)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
