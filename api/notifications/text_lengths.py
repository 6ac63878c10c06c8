"""Texts that a channel could never carry: said at once, and not by a log that ends dead."""

from __future__ import annotations

from collections.abc import Mapping

from api.http.request_body import bad_parameters
from api.notifications.payloads import NewNotification
from api.problems import ParameterError
from core.notifications.texts import too_long


def require_fitting(payload: NewNotification, senders: Mapping[str, str]) -> None:
    """Raise unless every channel of `payload` can carry its text.

    :param senders: what sends over each channel, by its name in ``NOTIFY_SENDERS``.
    :raises Problem: bad parameter; names each channel that cannot, and its limit.
    """
    told = {channel: too_long(senders[channel], payload.title, payload.body) for channel in payload.channels}
    if errors := [ParameterError("body", f"is too long for {channel}: {why}") for channel, why in told.items() if why]:
        raise bad_parameters(errors)
