"""The settings of the live collection that transactions are read from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from core.calendar.zones import is_zone
from core.settings.text_pattern import TextPattern


class SourceSettings(BaseSettings):
    """The collection of raw transactions, and options for reading it."""

    source_url: Annotated[SecretStr, TextPattern("mongodb://host/database; or empty", r"(mongodb(\+srv)?://.+)?")] = (
        SecretStr("")
    )
    """Live collection to read if a command names no source: mongodb://host/database."""
    amount_text: bool = False
    """Whether text is accepted as an amount, such as -12.50 or ۱۲٫۵."""
    time_format: str = ""
    """Format of text and numbers that are times: iso, epoch-s, epoch-ms, or a pattern such as %Y/%m/%d %H:%M:%S. Empty:
    only dates are times."""
    time_zone_of_text: Annotated[
        str,
        TextPattern("an IANA time zone such as Asia/Tehran; or empty", is_valid=lambda name: not name or is_zone(name)),
    ] = ""
    """IANA name of the time zone of text without an offset. Empty: such text is rejected."""
    csv_delimiter: Annotated[str, TextPattern("one ASCII character, tab, or empty", r"([!-~]|tab|\\t|\t)?")] = ""
    """Field separator of CSV, such as ; or tab. Empty: detected from the header."""
    csv_decimal_comma: bool = False
    """Whether amounts in CSV have a decimal comma."""
    source_cursors: int = Field(default=4, ge=1, le=64)
    """Parallel cursors over a live collection."""
    source_batch_size: int = Field(default=10_000, ge=1, le=1_000_000)
    """Documents per batch of a live collection."""
    source_timeout_s: float = Field(default=30.0, gt=0, le=86_400)
    """Seconds to connect to the server of a live collection, unless its URL has another value, and to wait for data
    from object storage before a retry."""
    source_answer_timeout_s: float = Field(default=600.0, gt=0, le=86_400)
    """Seconds to wait for a response of the server of a live collection, unless its URL has another value."""
    source_retries: int = Field(default=8, ge=0, le=1000)
    """Consecutive failures after which a run gives up a live collection or a remote file."""
