"""``/api/users/{user_id}/contacts`` and ``/api/contacts``: the addresses of one user, and the users with addresses."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

import falcon
from falcon.routing import BaseConverter
from pydantic import Field, TypeAdapter, ValidationError

from api.auth.principal import caller_with
from api.http.json_response import send_document
from api.http.pagination import NO_VERSION, PageCursor, PageLimit, cursor_after, position_in
from api.http.query_parameters import Findings, fields_of, parameters_in
from api.http.request_body import MOST_ERRORS, errors_of, read_object
from api.notifications.field_types import unknown_channel
from api.notifications.pages import PageParameters, cut, page_in
from api.notifications.payloads import Contacts
from api.notifications.tenants import OfUser, tenant_to_list, tenant_to_read, tenant_to_write
from api.openapi.bodies import UserContacts, UsersContacts
from api.problems import ParameterError, bad_parameters, error_code
from api.store_access import StoreAccess
from core.notifications.addresses import BadAddress, normalised
from core.notifications.values import UserId, in_words
from core.stores import Stores
from core.stores.api_keys import Scope
from core.tenants import OPERATOR

CONVERTER: Final = "and_contacts"
PATH: Final = "/api/contacts"

_USER_ID: Final = TypeAdapter(UserId)
_LONGEST_NAME: Final = 60


class UsersParameters(PageParameters):
    """The parameters of ``GET /api/contacts``."""

    tenant: str | None = Field(
        default=None,
        min_length=1,
        description="The tenant of the users, for API keys of the operator. Default: the tenant of the API key.",
        examples=[OPERATOR],
    )
    limit: PageLimit = 100
    cursor: PageCursor = None

    def query(self) -> Hashable:
        """See `PageParameters.query`."""
        return "contacts", self.tenant, self.limit


class ContactsResource:
    """The addresses of users, by channel.

    :param channels: over which something can be sent.
    """

    def __init__(self, access: StoreAccess, channels: frozenset[str]) -> None:
        self._access = access
        self._channels = channels

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """The addresses of the user; none for an unknown user."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        asked = parameters_in(req.query_string, OfUser).tenant
        user_id = _checked_user_id(user_id)

        def read(stores: Stores) -> UserContacts:
            tenant = tenant_to_read(stores, caller, asked, user_id)
            return UserContacts(tenant=tenant, user_id=user_id, contacts=stores.contacts.get(user_id, tenant=tenant))

        send_document(resp, self._access.call(read))

    def on_put(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Replace the addresses of the user.

        The key must be allowed to read all summaries that the user receives: they are sent to the new addresses.
        """
        caller = caller_with(req, Scope.NOTIFICATIONS)
        asked = parameters_in(req.query_string, OfUser).tenant
        user_id = _checked_user_id(user_id)
        addresses = _addresses_in(read_object(req), self._channels)

        def replace(stores: Stores) -> str:
            tenant = tenant_to_write(stores, caller, asked, user_id)
            for subscription in stores.subscriptions.all(tenant=tenant, user_id=user_id, active=True):
                caller.require_merchant(subscription.merchant_id)
            stores.contacts.replace(user_id, addresses, tenant=tenant)
            return tenant

        tenant = self._access.call(replace)
        send_document(resp, UserContacts(tenant=tenant, user_id=user_id, contacts=addresses))

    def on_get_users(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of users with their addresses."""
        caller = caller_with(req, Scope.NOTIFICATIONS)
        findings = Findings()
        fields = fields_of(req.query_string, findings)
        parameters, after = page_in(UsersParameters, fields, findings, _last_user_in)

        def read(stores: Stores) -> tuple[str, dict[str, dict[str, str]]]:
            tenant = tenant_to_list(stores, caller, parameters.tenant) or OPERATOR
            return tenant, stores.contacts.listed(tenant=tenant, after=after, limit=parameters.limit + 1)

        tenant, found = self._access.call(read)
        users = [UserContacts(tenant=tenant, user_id=user_id, contacts=one) for user_id, one in found.items()]
        users, cursor, following = cut(
            PATH, parameters, users, lambda user, query: cursor_after(user.user_id, NO_VERSION, query)
        )
        send_document(resp, UsersContacts(users=users, next_cursor=cursor), following=following)

    on_head = on_get
    on_head_users = on_get_users


class UserIdAndContacts(BaseConverter):
    """The rest of a path, which is a user id and ``/contacts``.

    The server decodes a path before it is split, so a slash in the id that was sent as ``%2F`` is a slash of the path:
    all segments but the last belong to the id.
    """

    CONSUME_MULTIPLE_SEGMENTS = True

    def convert(self, value: Iterable[str]) -> str | None:
        """The user id; None if the path does not end with ``contacts``."""
        *segments, last = value
        return "/".join(segments) or None if last == "contacts" else None


def _last_user_in(cursor: str, query: Hashable, findings: Findings) -> str | None:
    """The last user of the page before; None, with an error in `findings`, if `cursor` is not of `query`."""
    return position_in(cursor, NO_VERSION, query, findings)


def _checked_user_id(user_id: str) -> str:
    """`user_id` of a path, normalised.

    :raises Problem: bad parameter: it is not valid.
    """
    try:
        return _USER_ID.validate_python(user_id)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
    raise bad_parameters([ParameterError("user_id", in_words(detail), error_code(detail["type"]))])


def _addresses_in(document: dict[str, Any], channels: frozenset[str]) -> dict[str, str]:
    """The normalised addresses in a body of the form `Contacts`, by channel.

    :param channels: the channels of the settings.
    :raises Problem: bad parameter, with all errors.
    """
    errors: list[ParameterError] = []
    try:
        Contacts.model_validate(document)
    except ValidationError as error:
        errors.extend(errors_of(error))
    given = document.get("contacts")
    addresses: dict[str, str] = {}
    for channel, address in given.items() if isinstance(given, dict) else ():
        try:
            addresses[channel] = _address(channel, address, channels)
        except BadAddress as error:
            place = f"contacts.{channel[:_LONGEST_NAME]}"
            errors.append(ParameterError(place, f"is not allowed: {error}", error.code))
    if errors:
        raise bad_parameters(errors[:MOST_ERRORS])
    return addresses


def _address(channel: str, address: object, channels: frozenset[str]) -> str:
    if channel not in channels:
        raise BadAddress("unknown-channel", unknown_channel(channel, channels))
    if not isinstance(address, str):
        raise BadAddress("wrong-type", "it must be text, in quotes")
    return normalised(channel, address)
