"""The settings of all parts of the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from core.calendar.zones import is_zone
from core.settings.text_pattern import TextPattern


class SharedSettings(BaseSettings):
    """The store, calendar, time zone and logging."""

    store_url: Annotated[
        str, TextPattern("sqlite:///relative.db, sqlite:////absolute.db or mongodb://user:password@host:27017/database")
    ] = "sqlite:///summaries.db"
    """Store of summaries, runs, keys and notifications."""
    time_zone: Annotated[str, TextPattern("an IANA time zone such as Asia/Tehran", is_valid=is_zone)] = "Asia/Tehran"
    """IANA name of the time zone in which days begin and end."""
    calendar: Literal["jalali", "gregorian"] = "jalali"
    """Calendar that names days, weeks and months."""
    currency: Annotated[str, TextPattern("1 to 16 letters, such as IRR; or empty", r"([^\W\d_]{1,16})?")] = ""
    """ISO 4217 code of the currency of amounts, which the store records. Empty: the currency of the store, IRR for a
    new store. Another currency than that of the store is refused."""
    amount_scale: Annotated[str, TextPattern("0 to 9, or empty", r"[0-9]?")] = ""
    """Decimal places of amounts, such as 2 for cents, which the store records. Amounts are stored in minor units.
    Empty: 0 for runs, the scale of the store for servers."""
    quarantine_dir: Annotated[Path, TextPattern("the path of a folder", r".+")] = Path("quarantine")
    """Folder of the quarantine files, which contain rejected documents."""
    max_quarantine_mb: int = Field(default=1024, ge=0, le=1_048_576)
    """Maximum size of the quarantine file of a run, in MiB; further rejects are only counted."""
    threads: int = Field(default=0, ge=0, le=256)
    """Decoding threads; 0 means one for each usable core."""
    store_timeout_s: float = Field(default=30.0, gt=0)
    """Seconds to wait for a store that does not respond."""
    command_log: Literal["text", "json"] = "text"
    """What commands write to standard error: sentences, or JSON lines about each run."""
