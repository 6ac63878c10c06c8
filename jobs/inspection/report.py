"""The report of an inspection: fields, candidates for roles, and the command to build summaries."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.decode.plan import Fields
from jobs.inspection.candidates import (
    ROLES,
    Candidate,
    FilterCandidate,
    candidates,
    chosen,
    filter_candidates,
    formats_of,
    name_score,
)
from jobs.inspection.fields import FieldFound, fields_of, value_at, without_secrets
from jobs.inspection.first_documents import Sample
from jobs.inspection.formats import Context
from jobs.inspection.values import MISSING, RoleValues
from jobs.sources.url import redacted_url

URL_VARIABLE: Final = "SOURCE_URL"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of an inspection.

    :param roles: for merchant, amount and time the proposed field, or None.
    :param others: for each of these the other candidates, the likeliest first.
    :param filters: fields that may distinguish paid from failed transactions.
    :param rejected: number of documents that a run would reject; None if a role has no field.
    """

    sample: Sample
    fields: tuple[FieldFound, ...]
    roles: Mapping[str, Candidate | None]
    others: Mapping[str, Sequence[Candidate]]
    filters: tuple[FilterCandidate, ...]
    rejected: int | None

    def command(self, argument: str, collection: str | None) -> list[str] | None:
        """The arguments of the ``rebuild`` command; None if a role has no field.

        :param argument: the source. A URL that may contain a password becomes ``$SOURCE_URL``.
        """
        options: list[str] = []
        for role in ROLES:
            taken = self.roles[role]
            if taken is None:
                return None
            if taken.path != getattr(Fields(), role):
                options += [f"--{role}-field", taken.path]
            options += taken.options
        named = ["--collection", collection] if collection is not None else []
        return ["python", "-m", "jobs", "rebuild", shown_source(argument), *named, *options]


def shown_source(argument: str) -> str:
    """`argument` for a printed command: a URL with a secret becomes ``$SOURCE_URL``."""
    holds_more = "://" in argument and ("@" in argument or "?" in argument)
    is_secret = redacted_url(argument) != argument or (holds_more and without_secrets(argument) != argument)
    return f"${URL_VARIABLE}" if is_secret else argument


def shell_quoted(command: Sequence[str]) -> str:
    """`command` quoted for a shell."""
    return " ".join(f'"{word}"' if word == f"${URL_VARIABLE}" else shlex.quote(word) for word in command)


def inspect(sample: Sample, context: Context) -> Report:
    """Inspect the documents of `sample`."""
    found = fields_of(sample.documents, sample.is_flat)
    documents = len(sample.documents)
    ranked = {role: candidates(role, found, documents, context) for role in ROLES}
    roles: dict[str, Candidate | None] = {}
    for role in ("time", "amount", "merchant"):  # assign roles with more specific types first
        taken = {one.path for one in roles.values() if one is not None}
        left = [field for field in found if field.path not in taken]
        roles[role] = chosen(role, ranked[role], left, documents, context)
    taken = {"_id", *(one.path for one in roles.values() if one is not None)}
    others = {
        role: [
            one for one in ranked[role] if one.path not in taken and (role == "time" or name_score(role, one.path) > 0)
        ]
        for role in ROLES
    }
    return Report(
        sample,
        tuple(found),
        {role: roles[role] for role in ROLES},
        others,
        tuple(filter_candidates(found, documents)),
        _rejected(sample, roles, context),
    )


def _rejected(sample: Sample, roles: Mapping[str, Candidate | None], context: Context) -> int | None:
    paths = {role: taken.path for role, taken in roles.items() if taken is not None}
    if len(paths) < len(ROLES):
        return None
    reasons = []
    for role, path in paths.items():
        values = [value_at(document, path, sample.is_flat) for document in sample.documents]
        present = RoleValues(role, [value for value in values if value is not MISSING])
        formats = formats_of(path, present, context)
        reasons.append(RoleValues(role, values).reasons(context.named_ms, formats))
    return sum(map(any, zip(*reasons, strict=True)))
