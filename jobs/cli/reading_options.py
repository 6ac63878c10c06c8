"""The common options of the verbs that read transactions."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from core.command_line import print_message
from core.errors import SourceError, UsageError
from core.settings import Settings
from jobs.cli.live_options import live_options, sources_or_setting
from jobs.decode.formats import Formats, delimiter_named, format_words, option_words
from jobs.decode.jit import is_compiled
from jobs.decode.plan import Fields, plan_paths
from jobs.publish.shrinking import LossLimits
from jobs.sources.dump_folder import sources_in
from jobs.sources.live.options import LiveOptions
from jobs.sources.url import redacted_url
from jobs.sources.wildcards import has_wildcards, matching


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatOptions:
    """The options for formats of amounts and times, unparsed; None: the setting."""

    amount_scale: int | None = None
    amount_text: bool | None = None
    time_format: str | None = None
    time_zone_of_text: str | None = None
    csv_delimiter: str | None = None
    csv_decimal_comma: bool | None = None

    def formats(self, settings: Settings) -> Formats:
        """The accepted formats.

        :raises UsageError: options or settings are invalid, or contradict each other.
        """
        scale = self.amount_scale
        delimiter = settings.csv_delimiter if self.csv_delimiter is None else self.csv_delimiter
        zone = settings.time_zone_of_text if self.time_zone_of_text is None else self.time_zone_of_text
        formats = Formats(
            int(settings.amount_scale or 0) if scale is None else scale,
            settings.amount_text if self.amount_text is None else self.amount_text,
            (settings.time_format if self.time_format is None else self.time_format) or None,
            zone or None,
            zone == settings.time_zone,
            delimiter_named(delimiter) or None,
            settings.csv_decimal_comma if self.csv_decimal_comma is None else self.csv_decimal_comma,
        )
        formats.require_possible()
        return formats


@dataclass(frozen=True, slots=True)
class ReadingOptions(FormatOptions):
    """The options for reading, unparsed."""

    sources: tuple[str, ...]
    collection: str | None
    merchant_field: str
    amount_field: str
    time_field: str
    where: Sequence[str] | None
    max_reject_ratio: float
    threads: int | None
    cursors: int | None
    batch_size: int | None
    max_quarantine_mb: int | None
    usual_reject_ratio: float
    """The default of `max_reject_ratio` for this verb."""

    def fields(self, settings: Settings) -> Fields:
        """The fields to read.

        :raises UsageError: an option is no valid path or condition, or contradicts another.
        """
        where: dict[str, str] = {}
        for condition in self.where or ():
            path, separator, value = condition.partition("=")
            if not separator or not path:
                raise UsageError(
                    f"--where {condition} is not a condition", "Write it as PATH=VALUE, such as status=paid."
                )
            if path in where:
                raise UsageError(f"--where names {path} twice", "A document cannot have two values in one field.")
            where[path] = value
        formats = self.formats(settings)
        fields = Fields(self.merchant_field, self.amount_field, self.time_field, tuple(where.items()), formats)
        if len({fields.merchant, fields.amount, fields.time}) < 3:
            raise UsageError("merchant, amount and time must be three different fields", "Change one of the options.")
        plan_paths(fields.paths(), b"\0")  # raises for invalid paths before a run begins
        return fields

    def completed(self, settings: Settings) -> Self:
        """The same with sources and threads of `settings` as defaults.

        Expands local folders, and wildcards, which a shell leaves in quotes and settings.

        :raises UsageError: there is no source.
        :raises SourceError: no file matches, or which files of a folder to read is ambiguous.
        """
        usable_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = self.threads or settings.threads or usable_cores
        named = sources_or_setting(self.sources, settings)
        sources = tuple(found for one in named for found in _sources_of(one, self.collection))
        return replace(self, sources=sources, threads=threads)

    def live(self, settings: Settings) -> LiveOptions:
        return live_options(settings, self.cursors, self.batch_size)

    def request(self, fields: Fields, settings: Settings) -> dict[str, Any]:
        """The fields of `jobs.job.ReadRequest`, but for the command."""
        max_quarantine_mb = settings.max_quarantine_mb if self.max_quarantine_mb is None else self.max_quarantine_mb
        return {
            "fields": fields,
            "collection": self.collection,
            "max_reject_ratio": self.max_reject_ratio,
            "threads": self.threads or 1,
            "live": self.live(settings),
            "max_quarantine_bytes": max_quarantine_mb * 2**20,
            "currency": settings.currency,
        }

    def command(self, verb: str, formats: Formats, *own: str) -> str:
        """The command for the ledger: all options that affect the counts, without the passwords of URLs.

        :param formats: formats of amounts and times.
        :param own: the verb's own options.
        """
        usual, ratio = Fields(), self.max_reject_ratio
        given = {
            "--collection": self.collection,
            "--merchant-field": self.merchant_field != usual.merchant and self.merchant_field,
            "--amount-field": self.amount_field != usual.amount and self.amount_field,
            "--time-field": self.time_field != usual.time and self.time_field,
        }
        where = [word for condition in self.where or () for word in ("--where", condition)]
        allowed = [] if ratio == self.usual_reject_ratio else ["--max-reject-ratio", f"{ratio:g}"]
        sources = map(redacted_url, self.sources)
        return shlex.join([verb, *sources, *own, *option_words(given), *where, *format_words(formats), *allowed])


def _sources_of(source: str, collection: str | None) -> list[str]:
    if "://" in source:
        return [source]
    found = [source]
    if has_wildcards(source) and not os.path.lexists(source):
        found = matching(source)
        if not found:
            raise SourceError(f"no file matches {source}", "Check the pattern and the folder.")
    return [
        str(file)
        for one in found
        for file in (sources_in(Path(one), collection) if os.path.isdir(one) else [one])  # noqa: PTH112 - Path raises for long names
    ]


def announce_compilation() -> None:
    """Print why the first command that decodes documents takes longer."""
    if not is_compiled():
        print_message("Compiling the decoders, which happens once and takes five to twenty seconds.")


def loss_limits(settings: Settings, allow_shrink: bool) -> LossLimits:
    return LossLimits(settings.refresh_max_loss_ratio, settings.refresh_max_loss_count, allow_shrink)
