"""Ranks the fields that can be the merchant, the amount, the time or a filter.

A field is a candidate for a role if a run could count most of its values. Typical names of the role rank first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from bson import ObjectId

from jobs.decode.formats import Formats
from jobs.decode.plan import Fields
from jobs.inspection.fields import FieldFound
from jobs.inspection.formats import Context, added_words, best_formats
from jobs.inspection.values import RoleValues

ROLES: Final = ("merchant", "amount", "time")
_LEAST_SHARE: Final = 0.5
"""Minimal share of a field's values that can be counted."""
_LEAST_PRESENT: Final = 0.1
_FEW_VALUES: Final = 12
_LONGEST_FILTER: Final = 32
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_WORDS: Final[Mapping[str, Mapping[str, int]]] = {
    "merchant": dict.fromkeys(
        ("merchant", "shop", "store", "seller", "vendor", "acceptor", "business", "payee", "پذیرنده"), 4
    )
    | dict.fromkeys(("terminal", "branch", "company", "receiver", "owner"), 3)
    | dict.fromkeys(("account", "customer", "client", "user", "wallet"), 2)
    | dict.fromkeys(("id", "code", "name"), 1),
    "amount": dict.fromkeys(("amount", "amt", "total", "sum", "price", "value", "mablagh", "مبلغ"), 4)
    | dict.fromkeys(("cost", "paid", "payable", "charge"), 3)
    | dict.fromkeys(("fee", "wage", "tax", "discount", "balance"), 1),
    "time": dict.fromkeys(("created", "paid", "time", "timestamp", "date", "at", "tarikh", "تاریخ", "زمان"), 3)
    | dict.fromkeys(("updated", "modified", "expires", "expired", "deleted", "settled", "verified"), -1),
    "filter": dict.fromkeys(("status", "state", "result", "success", "successful", "paid", "verified", "وضعیت"), 4)
    | dict.fromkeys(("type", "kind", "method", "currency", "gateway"), 1),
}
_COUNTED_STATES: Final = (
    "paid",
    "success",
    "successful",
    "succeeded",
    "completed",
    "complete",
    "done",
    "settled",
    "ok",
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field as a candidate for a role.

    :param counted: number of documents that a run would count; `rejected` those that it would reject, by reason.
    :param options: the format options that it needs, such as ``--amount-scale 2``.
    """

    path: str
    counted: int
    rejected: Mapping[str, int]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterCandidate:
    """A field with few distinct values, one of which may be the filter of a run.

    :param values: number of documents by value (as in ``--where``), the most frequent first.
    :param proposed: the value that probably means a successful payment; None if no name suggests it.
    """

    path: str
    values: Mapping[str, int]
    proposed: str | None


def formats_of(path: str, values: RoleValues, context: Context) -> Formats:
    """The formats for `values` of the field `path`; the default ones if its name is not typical of their role."""
    return best_formats(values, context) if name_score(values.role, path) > 0 else context.formats


def role_of(path: str, role: str, found: Sequence[FieldFound], documents: int, context: Context) -> Candidate:
    """Evaluate the field `path` in that role for so many documents."""
    present = next((field.values for field in found if field.path == path and field.is_reachable), [])
    values = RoleValues(role, present)
    formats = formats_of(path, values, context)
    reasons = values.rejected(context.named_ms, formats)
    rejected = dict(reasons.most_common())
    if missing := documents - len(present):
        rejected["missing"] = missing
    return Candidate(path, len(present) - reasons.total(), rejected, tuple(added_words(context.formats, formats)))


def candidates(
    role: str, found: Sequence[FieldFound], documents: int, context: Context, like: str = ""
) -> list[Candidate]:
    """The candidates for that role, the likeliest first.

    :param like: the missing name; similar names rank first among equals.
    """
    likeliest: list[tuple[tuple[float, ...], Candidate]] = []
    for field in found:
        if not field.is_reachable or len(field.values) < _LEAST_PRESENT * documents:
            continue
        candidate = role_of(field.path, role, found, documents, context)
        if candidate.counted < _LEAST_SHARE * len(field.values) or not candidate.counted:
            continue
        score: float = name_score(role, field.path) - (0.5 if candidate.options else 0)
        if role == "merchant":
            score += _repetition(field) / 2
        resemblance = SequenceMatcher(None, like.lower(), field.path.lower()).ratio() if like else 0.0
        order = (score, resemblance, candidate.counted, -field.path.count("."))
        likeliest.append((order, candidate))
    likeliest.sort(key=lambda one: one[0], reverse=True)
    return [candidate for _, candidate in likeliest]


def chosen(
    role: str, ranked: Sequence[Candidate], found: Sequence[FieldFound], documents: int, context: Context
) -> Candidate | None:
    """The proposed field of `found`: the default if most of its values can be counted, else the likeliest.

    :param ranked: the candidates of all fields, the likeliest first.
    """
    usual = role_of(getattr(Fields(), role), role, found, documents, context)
    if usual.counted >= _LEAST_SHARE * documents and documents and not usual.options:
        return usual
    paths = {field.path for field in found} - {"_id"}
    possible = [one for one in ranked if one.path in paths]
    likely = [one for one in possible if is_likely(role, one, found)]
    if likely or len(possible) == 1:
        return (likely or possible)[0]
    return usual if usual.counted else None


def is_likely(role: str, candidate: Candidate, found: Sequence[FieldFound]) -> bool:
    """Whether its name is typical of the role, or its values repeat like those of merchants.

    For the time its type suffices.
    """
    if role == "time" or name_score(role, candidate.path) > 0:
        return candidate.path != "_id"
    fields = [one for one in found if one.path == candidate.path]
    return role == "merchant" and any(_repetition(one) > 0 for one in fields) and not filter_candidates(fields, 0)


def name_score(role: str, path: str) -> int:
    """A score of how typical the names of a path are of a role."""
    words = [word.lower() for word in _WORD.findall(path)]
    points = [_WORDS[role].get(word, 0) for word in words]
    return max(points, default=0) if min(points, default=0) >= 0 else min(points)


def _repetition(field: FieldFound) -> float:
    """1 if values repeat, like merchants; 0 if nearly all differ, like document ids."""
    distinct = len({str(value) for value in field.values})
    few_ids = isinstance(field.values[0], ObjectId) and distinct < len(field.values)
    return 1.0 if few_ids or distinct <= len(field.values) / 2 else 0.0 if field.path != "_id" else -2.0


def filter_candidates(found: Sequence[FieldFound], documents: int) -> list[FilterCandidate]:
    """The fields that may distinguish paid from failed transactions, the likeliest first."""
    likeliest: list[tuple[tuple[int, int], FilterCandidate]] = []
    for field in found:
        written = [_in_where(value) for value in field.values]
        values = Counter(text for text in written if text is not None)
        if not field.is_reachable or not 2 <= len(values) <= _FEW_VALUES or len(field.values) < documents / 2:
            continue
        if None in written or (score := name_score("filter", field.path)) <= 0:
            continue
        proposed = next((text for state in _COUNTED_STATES for text in values if text.lower() == state), None)
        if proposed is None and "true" in values and score > 1:
            proposed = "true"
        likeliest.append(
            ((score, len(field.values)), FilterCandidate(field.path, dict(values.most_common()), proposed))
        )
    likeliest.sort(key=lambda one: one[0], reverse=True)
    return [candidate for _, candidate in likeliest]


def _in_where(value: object) -> str | None:
    """The text of `value` in ``--where``; None if it cannot be written there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return str(value) if isinstance(value, str) and len(value) <= _LONGEST_FILTER else None
