"""Exporting while others publish: what is written is of one publication."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from examples import publication, uniform

from core.calendar.periods import Mode
from core.errors import StoreBusy
from core.stores import open_stores
from jobs.export import ExportRequest, Format, export


@pytest.mark.parametrize("partitioned", [False, True])
def test_an_export_that_loses_its_publication_begins_again(store_url: str, partitioned: bool, tmp_path: Path) -> None:
    out = tmp_path / "x"
    with open_stores(store_url, timeout_s=10) as stores:

        def publish(generation: int) -> None:
            rows = uniform(generation)
            stores.summaries.publish(publication(generation, rows), rows)

        def meanwhile(_: int) -> None:
            """Publish twice while the first attempt is under way."""
            if len(published) == 1:
                for generation in (2, 3):
                    publish(generation)
                    published.append(generation)

        published = [1]
        publish(1)
        request = ExportRequest(str(out), Format.PARQUET, Mode.DAILY, partitioned=partitioned, overall=True)
        exported = export(stores.summaries, request, meanwhile)
        # SQLite keeps what one transaction reads; on MongoDB the collections of generation 1 are dropped.
        generation = 1 if store_url.startswith("sqlite") else 3
    assert published == [1, 2, 3]
    assert exported.dictionary["generation"] == generation
    frame = pl.read_parquet(out / "**/*.parquet" if partitioned else out)
    assert frame["amount"].to_list() == [generation] * uniform(1).height
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_export_that_loses_its_publication_every_time_fails_and_leaves_nothing(
    mongo_database_url: str, tmp_path: Path
) -> None:
    with open_stores(mongo_database_url, timeout_s=10) as stores:
        generations = iter(range(1, 100))

        def publish(_: int = 0) -> None:
            for _ in range(2):
                generation = next(generations)
                rows = uniform(generation, merchants=1, days=1)
                stores.summaries.publish(publication(generation, rows), rows)

        publish()
        request = ExportRequest(str(tmp_path / "x.csv"), Format.CSV, Mode.DAILY)
        with pytest.raises(StoreBusy):
            export(stores.summaries, request, publish)
    assert next(generations) == 13, "it tried five times"
    assert [path for path in tmp_path.iterdir() if "x.csv" in path.name] == []
