"""Suggests fields when a job fails because of a wrong field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Final

from core.command_line import printable
from core.errors import ServiceError, WrongField
from core.settings import Settings
from jobs.cli.live_options import remote_options
from jobs.cli.reading_options import ReadingOptions
from jobs.sources.streams import STANDARD_INPUT

_DOCUMENTS: Final = 1000
_NAMED: Final = 3


@contextmanager
def advised(reading: ReadingOptions, settings: Settings) -> Iterator[None]:
    """Inside, a failure because of a wrong field gets a hint with suitable fields.

    :param reading: the options of the job. Its first source is read again, except for standard input.
    """
    try:
        yield
    except ServiceError as error:
        if error.wrong_field is not None:
            error.hint = f"{_advice(error.wrong_field, reading, settings)} {error.hint}".rstrip()
        raise


def _advice(wrong: WrongField, reading: ReadingOptions, settings: Settings) -> str:
    from jobs.inspection.report import shell_quoted, shown_source

    argument = reading.sources[0]
    options = None if argument == STANDARD_INPUT else _found(wrong, argument, reading, settings)
    if options is None:  # it cannot be read again: only the names are known
        options = [[_option(wrong), name] for name in _similar(wrong)]
    if options:
        meant = " or ".join(f"`{printable(shell_quoted(one))}`" for one in options[:_NAMED])
        suggestion = f"Did you mean {meant}?"
    else:
        suggestion = f"The {wrong.role} is read from the field {printable(wrong.path)} ({_option(wrong)})."
    if argument == STANDARD_INPUT:
        return suggestion
    named = [] if reading.collection is None else ["--collection", reading.collection]
    command = shell_quoted(["python", "-m", "jobs", "inspect", shown_source(argument), *named])
    return f"{suggestion} See all fields with: {printable(command)}."


def _option(wrong: WrongField) -> str:
    return "--where" if wrong.role == "filter" else f"--{wrong.role}-field"


def _found(wrong: WrongField, argument: str, reading: ReadingOptions, settings: Settings) -> list[list[str]] | None:
    """The suitable options with their values; None if the source cannot be read again."""
    from jobs.cli.inspect import context_of
    from jobs.inspection.candidates import candidates, filter_candidates, is_likely
    from jobs.inspection.fields import fields_of
    from jobs.inspection.first_documents import read_first

    try:
        context = context_of(settings, reading)
        live, remote = reading.live(settings), remote_options(settings)
        sample = read_first(argument, reading.collection, live, _DOCUMENTS, remote, context.formats.csv_delimiter)
    except (ServiceError, OSError):
        return None
    found = fields_of(sample.documents, sample.is_flat)
    documents = len(sample.documents)
    if wrong.role == "filter":
        proposed = (
            f"{one.path}={one.proposed or next(iter(one.values))}" for one in filter_candidates(found, documents)
        )
        return [["--where", condition] for condition in proposed if condition not in (reading.where or ())]
    others = candidates(wrong.role, found, documents, context, like=wrong.path)
    used = {reading.merchant_field, reading.amount_field, reading.time_field, "_id"}
    same = [list(one.options) for one in others if one.path == wrong.path and one.options]
    others = [one for one in others if one.path not in used]
    likely = [one for one in others if is_likely(wrong.role, one, found)]
    return same or [[_option(wrong), one.path, *one.options] for one in likely or others]


def _similar(wrong: WrongField) -> list[str]:
    from jobs.inspection.candidates import name_score

    names = [name for name in wrong.names if name != wrong.path]
    if wrong.role != "filter":
        usual = sorted(names, key=lambda name: name_score(wrong.role, name), reverse=True)
        if usual and name_score(wrong.role, usual[0]) > 1:
            return usual[:1]
    return get_close_matches(wrong.path, names, _NAMED)
