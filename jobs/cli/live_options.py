"""Options for live collections and remote objects, from settings and command line."""

from __future__ import annotations

from core.errors import UsageError
from core.retrying import Backoff
from core.settings import Settings
from jobs.sources.live.options import LiveOptions
from jobs.sources.remote.options import RemoteOptions
from jobs.sources.remote.url import with_plain_scheme


def live_options(settings: Settings, cursors: int | None = None, batch_size: int | None = None) -> LiveOptions:
    """The options for live collections.

    :param cursors: overrides the setting; likewise `batch_size`.
    """
    return LiveOptions(
        cursors=cursors or settings.source_cursors,
        batch_documents=batch_size or settings.source_batch_size,
        timeout_s=settings.source_timeout_s,
        answer_timeout_s=settings.source_answer_timeout_s,
        backoff=Backoff(settings.source_retries),
    )


def remote_options(settings: Settings) -> RemoteOptions:
    return RemoteOptions(settings.source_timeout_s, Backoff(settings.source_retries))


def sources_or_setting(sources: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    """`sources`, or if empty, ``SOURCE_URL``.

    :raises UsageError: it is not set, or one of `sources` is empty.
    """
    if "" in sources:
        raise UsageError(
            "a SOURCE is empty", "Name an export or a live collection; in a script, check that its variable is set."
        )
    if sources:
        return tuple(map(with_plain_scheme, sources))
    if url := settings.source_url.get_secret_value():
        return (with_plain_scheme(url),)
    raise UsageError("no SOURCE is given, and SOURCE_URL is not set", "Name an export or a live collection.")
