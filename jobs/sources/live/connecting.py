"""Connections to the server of a live collection."""

from __future__ import annotations

import warnings
from typing import Any, Final
from urllib.parse import parse_qsl

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI

from core.errors import SourceError, UsageError
from jobs.sources.live.options import LiveOptions
from jobs.sources.url import redacted

Document = dict[str, Any]

AS_STORED: Final[CodecOptions[Document]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS, unicode_decode_error_handler="surrogateescape"
)
"""How values are read, whatever they hold: dates outside of Python's years too, and text that is no UTF-8."""
_OF_URL_FIRST: Final = {
    "serverselectiontimeoutms": "timeout_s",
    "connecttimeoutms": "timeout_s",
    "sockettimeoutms": "answer_timeout_s",
}


def connect(url: str, options: LiveOptions) -> tuple[MongoClient[Document], str]:
    """A client for the server at `url`, and the name of the database that it names. Nothing is asked of it yet.

    Reads are of what a majority has unless the URL has a ``readConcernLevel``: what is counted is not rolled back.

    :raises UsageError: the URL is not valid, or names no database.
    :raises SourceError: the servers of a ``mongodb+srv://`` URL cannot be looked up.
    """
    given = {name.lower() for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    chosen: Document = {
        name: max(1, round(getattr(options, seconds) * 1000))
        for name, seconds in _OF_URL_FIRST.items()
        if name not in given
    }
    if "readconcernlevel" not in given:
        chosen["readConcernLevel"] = "majority"
    try:
        with warnings.catch_warnings():
            # A misspelt option, such as that for TLS, must not be left out with a mere warning.
            warnings.simplefilter("error", UserWarning)
            client: MongoClient[Document] = MongoClient(url, appname="transaction-summaries", **chosen)
    # Not even as the cause: what is wrong with a URL is often quoted from its password.
    except (InvalidURI, ConfigurationError, ValueError, TypeError, UserWarning) as error:
        if url.startswith("mongodb+srv://") and error.__cause__ is not None:
            raise SourceError(
                f"the servers of {redacted(url)} cannot be looked up",
                "Check the name, and that this host can reach a DNS server, then try again.",
            ) from None
        raise UsageError(
            f"{redacted(url)} is no valid URL of a MongoDB server",
            "Write mongodb://user:password@host:27017/database; @ : / % inside a name or password as %40 %3A %2F %25; "
            "and check the options after the ? if any.",
        ) from None
    try:
        return client, client.get_default_database().name
    except ConfigurationError:
        client.close()
        raise UsageError(
            f"{redacted(url)} names no database", "Write it after the host: mongodb://host:27017/database."
        ) from None
