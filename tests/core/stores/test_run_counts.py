"""The document counts of a run, which must add up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import ConservationBroken
from core.stores.runs import Counts

COUNTS = Counts(read=100, counted=50, rejected=30, filtered=15, out_of_range=5)


def test_counts_add_up_field_by_field() -> None:
    assert COUNTS + Counts(10, 4, 3, 2, 1) == Counts(110, 54, 33, 17, 6)


def test_counts_that_account_for_every_document_are_conserved() -> None:
    COUNTS.require_conservation()
    Counts().require_conservation()


@pytest.mark.parametrize("field", ["read", "counted", "rejected", "filtered", "out_of_range"])
@pytest.mark.parametrize("by", [-1, 1])
def test_one_document_too_many_or_too_few_is_reported_with_all_counts(field: str, by: int) -> None:
    wrong = replace(COUNTS, **{field: getattr(COUNTS, field) + by})
    with pytest.raises(ConservationBroken) as broken:
        wrong.require_conservation()
    assert broken.value.sentence == (
        f"{wrong.read} documents were read, but {wrong.counted} counted + {wrong.rejected} rejected + "
        f"{wrong.filtered} filtered out + {wrong.out_of_range} out of range were accounted for"
    )
