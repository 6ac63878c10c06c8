"""The schedule of refreshes in ``status``, by the clock of the machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from command_line import CommandLine
from examples import publication, run, uniform

from core.stores import open_stores, wall_clock_ms
from core.stores.runs import RunStatus


def test_status_shows_the_next_and_missed_refreshes(tmp_path: Path) -> None:
    jobs, now_ms, every_ms = CommandLine(tmp_path), wall_clock_ms(), 3_600_000
    rows = uniform(1, merchants=1, days=1)
    with open_stores(f"sqlite:///{tmp_path / 'summaries.db'}", timeout_s=10) as stores:
        stores.summaries.publish(publication(1, rows), rows)

        def refresh(hours_ago: float) -> None:
            at_ms = now_ms - round(hours_ago * every_ms)
            begun = replace(run(at_ms=at_ms), incremental=True, sources=("mongodb://db/shop.t",), as_of_ms=at_ms)
            begun = stores.runs.begin(begun)
            stores.runs.update(replace(begun.ended(RunStatus.UNCHANGED, at_ms + 5000), generation=1))

        for hours_ago in (6.5, 5.5, 4.5, 3.5):
            refresh(hours_ago)
        output = jobs("status", "--json").json
        assert output["degraded_by"] == ["missed_refreshes"]
        assert output["refreshes"] == {"every_s": 3600, "due_ms": now_ms - round(2.5 * every_ms), "missed": 3}
        assert output["sources_read_until_ms"] == now_ms - round(3.5 * every_ms)
        out = jobs("status").out
        assert "3 refreshes were missed; check that their scheduler runs" in out
        assert re.search(r"refreshes  every 1 h 0 min, the next due \d{4}-.*Z, 2 h 30 min ago\n", out)
        refresh(0.5)
        assert re.search(r"refreshes  every 1 h 0 min, the next due .*Z, in (30|2\d) min \d+ s\n", jobs("status").out)
        assert jobs("status", "--json").json["state"] == "ok"
        assert "every 2 h 0 min" in jobs("status", REFRESH_EVERY_S="7200").out
        assert jobs("status", "--json", API_MAX_AGE_S="600").json["degraded_by"] == ["age"]
        assert "longer ago than API_MAX_AGE_S allows" in jobs("status", API_MAX_AGE_S="600").out
