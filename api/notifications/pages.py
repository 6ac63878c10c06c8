"""Pages of notifications and subscriptions: what they are asked with, and where the next one is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from falcon import to_query_str

from api.http.pagination import Place, cursor_of, place_in
from api.http.query_parameters import Findings, checked, fields_of
from api.notifications.tenants import OfTenant


class PageParameters(OfTenant):
    """The parameters of a page. Each kind declares `limit` and `cursor` in the place where its description has them."""

    if TYPE_CHECKING:
        limit: int
        cursor: str | None

    def query(self) -> Hashable:
        """The parameters that a cursor belongs to, without the cursor."""
        raise NotImplementedError


ParametersT = TypeVar("ParametersT", bound=PageParameters)
PositionT = TypeVar("PositionT")


def read_page(model: type[ParametersT], query_string: str) -> tuple[ParametersT, Place | None]:
    """The checked query, and after which entry the page begins.

    :raises Problem: bad parameter, with all that is wrong; or the query string cannot be read.
    """
    findings = Findings()
    return page_in(model, fields_of(query_string, findings), findings, place_in)


def page_in(
    model: type[ParametersT],
    fields: Mapping[str, Any],
    findings: Findings,
    position_of: Callable[[str, Hashable, Findings], PositionT | None],
) -> tuple[ParametersT, PositionT | None]:
    """The same, of the fields of a query, of which `findings` say what is already known to be wrong.

    :param position_of: reads a cursor of a query, as `place_in` does.
    :raises Problem: bad parameter, with all that is wrong.
    """
    parameters = checked(model, fields, findings)
    after = None
    if parameters is not None and parameters.cursor is not None:
        after = position_of(parameters.cursor, parameters.query(), findings)
    findings.raise_if_any()
    assert parameters is not None  # because what is not checked has findings
    return parameters, after


def next_page(path: str, parameters: PageParameters, last: Place) -> tuple[str, str]:
    """The cursor of the page after `last`, and its address."""
    cursor = cursor_of(last, parameters.query())
    return cursor, address_of(path, parameters, cursor)


def address_of(path: str, parameters: PageParameters, cursor: str) -> str:
    """The address of the page that begins at `cursor`."""
    given = parameters.model_dump(mode="json", by_alias=True, exclude_none=True)
    return path + to_query_str(given | {"cursor": cursor}, comma_delimited_lists=False)
