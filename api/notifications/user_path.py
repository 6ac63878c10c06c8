"""User ids in paths: whatever other systems call their users, slashes included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from falcon.routing import BaseConverter
from pydantic import TypeAdapter, ValidationError

from api.http.request_body import bad_parameters, in_words
from api.notifications.field_types import UserId
from api.problems import ParameterError

CONVERTER: Final = "and_contacts"

_USER_ID: Final = TypeAdapter(UserId)


class UserIdAndContacts(BaseConverter):
    """The rest of a path, which is a user id and ``/contacts``.

    The server decodes a path before it is split, so that a slash in the id, though it was sent as ``%2F``, is one of
    the path: but only the last segment is not of the id.
    """

    CONSUME_MULTIPLE_SEGMENTS = True

    def convert(self, value: Iterable[str]) -> str | None:
        """The user id; None when the path is no such one."""
        *segments, last = value
        return "/".join(segments) or None if last == "contacts" else None


def checked_user_id(user_id: str) -> str:
    """`user_id`, as it stands in a path.

    :raises Problem: bad parameter: there can be no such user.
    """
    try:
        return _USER_ID.validate_python(user_id)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
    raise bad_parameters([ParameterError("user_id", in_words(detail))])
