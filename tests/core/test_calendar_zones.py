"""The source of time zone rules, and the digest (fingerprint) that identifies them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal, NoReturn
from zoneinfo import ZoneInfo

import pytest
from tz_databases import tz_database

from core.calendar import calendar_named
from core.calendar.zones import offset_changes, rules_digest, rules_digest_here, rules_source, zone_named

Missing = Callable[[str], NoReturn]

DAY_S = 86_400
SUMMER = "Rule S 1990 max - Mar lastSun 1:00u 1:00 S\nRule S 1990 max - Oct lastSun 1:00u 0 -\n"
SHOP = f"{SUMMER}Zone Test/Shop 3:25:44 - LMT 1916\n 3:30 - AAA 1990\n 3:30 S AA%sA\n"


def compiled(tmp_path: Path, source: str, missing: Missing, form: Literal["slim", "fat"] = "slim") -> Path:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    return tz_database(folder, source, missing, form) / "Test" / "Shop"


def digest_of(path: Path, calendar: str = "gregorian") -> str:
    with path.open("rb") as content:
        return rules_digest(ZoneInfo.from_file(content), calendar_named(calendar))


def test_the_digest_does_not_depend_on_the_file_format(tmp_path: Path, missing: Missing) -> None:
    slim, fat = (compiled(tmp_path, SHOP, missing, form) for form in ("slim", "fat"))
    assert slim.stat().st_size < fat.stat().st_size
    assert digest_of(slim) == digest_of(fat)
    renamed = compiled(tmp_path, SHOP.replace("AAA 1990", "BBB 1950\n 3:30 - CCC 1990"), missing, "fat")
    assert digest_of(renamed) == digest_of(fat), "a change of the abbreviation alone changes no day"


def test_the_digest_does_not_depend_on_the_version_of_the_file(tmp_path: Path, missing: Missing) -> None:
    path = compiled(tmp_path, SHOP.replace("max", "2005"), missing, "fat")
    second = path.read_bytes()
    first = second[:4] + b"\0" + second[5 : second.index(b"TZif", 4)]
    assert digest_of(path) != digest_of(compiled(tmp_path, SHOP, missing))
    whole = digest_of(path)
    path.write_bytes(first)
    assert digest_of(path) == whole


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3:25:44", "3:25:43"),
        ("LMT 1916", "LMT 1916 Jan 1 0:00:01"),
        ("Oct lastSun", "Oct 25"),
        ("1:00u 0 -", "1:00:01u 0 -"),
        ("max", "2150"),
        ("1:00 S\n", "0:30 S\n"),
    ],
)
def test_changed_rules_change_the_digest(tmp_path: Path, missing: Missing, old: str, new: str) -> None:
    assert old in SHOP
    changed = compiled(tmp_path, SHOP.replace(old, new), missing)
    assert digest_of(changed) != digest_of(compiled(tmp_path, SHOP, missing))


def test_rules_outside_the_calendar_do_not_change_the_digest(tmp_path: Path, missing: Missing) -> None:
    one, other = (compiled(tmp_path, SHOP.replace("max", end), missing) for end in ("2150", "2160"))
    assert digest_of(one, "jalali") == digest_of(other, "jalali")
    assert digest_of(one, "gregorian") != digest_of(other, "gregorian")


@pytest.mark.parametrize("name", ["Asia/Tehran", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia"])
def test_each_utc_offset_change_is_found_to_the_second(name: str) -> None:
    zone = ZoneInfo(name)

    def offset_at(second: int) -> int:
        offset = datetime.fromtimestamp(second, zone).utcoffset()
        assert offset is not None
        return offset // timedelta(seconds=1)

    first_s, last_s = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1900, 2040))
    changes = offset_changes(zone, first_s, last_s)
    assert changes[0] == (first_s, offset_at(first_s))
    for (_, before), (second, after) in pairwise(changes):
        assert (offset_at(second - 1), offset_at(second)) == (before, after)
        assert before != after
    sampled = [offset_at(second) for second in range(first_s, last_s + 1, DAY_S // 2)]
    assert len(changes) - 1 == sum(before != after for before, after in pairwise(sampled))


_SHOW = """
import sys, zoneinfo
if sys.argv[1]:
    zoneinfo.reset_tzpath(to=[sys.argv[1]])
from core.calendar.days import LocalDays
from core.calendar.zones import rules_digest_here
print(rules_digest_here("Asia/Tehran", "jalali"), LocalDays("Asia/Tehran").start_ms(20_000))
"""


def shown(system: Path | None, **env: str) -> list[str]:
    """The digest of a process, and when a day begins in it, where the system has the zones of a folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONTZPATH"} | env
    command = [sys.executable, "-c", _SHOW, str(system or "")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.split()


def test_pythontzpath_overrides_pinned_rules_which_override_system_rules(tmp_path: Path, missing: Missing) -> None:
    other = tz_database(tmp_path / "other", "Zone Asia/Tehran 4:00 - +04\n", missing)
    pinned = rules_digest_here("Asia/Tehran", "jalali")
    start_ms = 20_000 * DAY_S * 1000
    root = str(Path(__file__).parents[2])
    assert shown(other, PYTHONPATH=root) == [pinned, str(start_ms - 12_600_000)]
    digest, start = shown(None, PYTHONPATH=root, PYTHONTZPATH=str(other))
    assert digest != pinned
    assert int(start) == start_ms - 14_400_000


def test_time_zone_rules_have_a_readable_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONTZPATH", raising=False)
    assert rules_source().startswith("tzdata 20")
    monkeypatch.setenv("PYTHONTZPATH", "/srv/zones")
    assert rules_source() == "PYTHONTZPATH=/srv/zones"


@pytest.mark.parametrize("name", ["", "Asia", "Asia/Nowhere", "../tzdata/zones", "/etc/localtime", "zones", "a/b/c"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        zone_named(name)
    assert rules_digest_here(name, "jalali") is None
