"""Connections to the server of a live collection."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient

from core import mongo_connection
from core.errors import SourceError, UsageError
from core.mongo_connection import Document as Document  # for the other modules of this package
from core.mongo_connection import MongoErrors
from jobs.sources.live.options import LiveOptions
from jobs.sources.url import redacted_url

AS_STORED: Final[CodecOptions[Document]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS, unicode_decode_error_handler="surrogateescape"
)
"""Decodes all values, also dates outside of Python's range and text that is not UTF-8."""
_OF_URL_FIRST: Final = {
    "serverselectiontimeoutms": "timeout_s",
    "connecttimeoutms": "timeout_s",
    "sockettimeoutms": "answer_timeout_s",
}


ERRORS: Final = MongoErrors(
    "the URL", UsageError, SourceError, "Check that the server's version and the names of fields allow it."
)


def connect(url: str, options: LiveOptions) -> tuple[MongoClient[Document], str]:
    """A client for the server at `url`, and the name of the URL's database. Sends no query.

    Reads use the read concern "majority", so that counted documents are not rolled back, unless the URL has a
    ``readConcernLevel``.

    :raises UsageError: the URL is invalid, or names no database.
    :raises SourceError: the DNS lookup of a ``mongodb+srv://`` URL failed.
    """
    given = {name.lower() for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    chosen: Document = {
        name: max(1, round(getattr(options, seconds) * 1000))
        for name, seconds in _OF_URL_FIRST.items()
        if name not in given
    }
    if "readconcernlevel" not in given:
        chosen["readConcernLevel"] = "majority"
    return mongo_connection.connect(url, redacted_url(url), ERRORS, appname="transaction-summaries", **chosen)
