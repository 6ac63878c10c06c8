"""Pages of notifications, subscriptions and users: their parameters, and the address of the next page."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from api.http.pagination import Place, page_address, place_in
from api.http.query_parameters import Findings, fields_of, validated
from api.notifications.tenants import OfTenant


class PageParameters(OfTenant):
    """The parameters of a page. Subclasses declare `limit` and `cursor`, so that the documentation has them last."""

    if TYPE_CHECKING:
        limit: int
        cursor: str | None

    def query(self) -> Hashable:
        """The parameters without the cursor, which belongs to them."""
        raise NotImplementedError


ParametersT = TypeVar("ParametersT", bound=PageParameters)
PositionT = TypeVar("PositionT")
EntryT = TypeVar("EntryT")


def read_page(model: type[ParametersT], query_string: str) -> tuple[ParametersT, Place | None]:
    """The validated query, and after which entry the page begins.

    :raises Problem: bad parameter, with all errors; or the query string is not valid.
    """
    findings = Findings()
    return page_in(model, fields_of(query_string, findings), findings, place_in)


def page_in(
    model: type[ParametersT],
    fields: Mapping[str, Any],
    findings: Findings,
    position_of: Callable[[str, Hashable, Findings], PositionT | None],
) -> tuple[ParametersT, PositionT | None]:
    """As `read_page`, from the fields of a query string, for which there may be errors in `findings` already.

    :param position_of: reads a cursor of a query, as `place_in` does.
    :raises Problem: bad parameter, with all errors.
    """
    parameters, after = validated(model, fields, findings), None
    if parameters.cursor is not None:
        after = position_of(parameters.cursor, parameters.query(), findings)
    findings.raise_if_any()
    return parameters, after


def cut(
    path: str, parameters: PageParameters, found: list[EntryT], cursor_after: Callable[[EntryT, Hashable], str]
) -> tuple[list[EntryT], str | None, str | None]:
    """The entries of a page, and the cursor and the address of the next page; None and None after the last page.

    :param found: the entries from where the page begins; one more than its limit, if there are more.
    :param cursor_after: the cursor of the page of a query that begins after an entry.
    """
    limit = parameters.limit
    if len(found) <= limit:
        return found, None, None
    cursor = cursor_after(found[limit - 1], parameters.query())
    given = parameters.model_dump(mode="json", by_alias=True) | {"cursor": cursor}
    return found[:limit], cursor, page_address(path, given)
