"""The interface of the store of merchant names, which are always replaced as a whole.

They are independent of publications: runs neither read nor change them, also not `rebuild --truncate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.calendar.periods import Locale
    from core.merchant_names import MerchantNames


class MerchantNameStore(Protocol):
    """Stores the names of merchants. Thread-safe (calls take turns), but not fork-safe.

    Each method raises `StoreUnavailable` if the store does not answer or cannot be written.
    """

    def version(self) -> str:
        """The version that `read` would return; cheap for any number of names."""

    def read(self) -> MerchantNames:
        """All names, of one version."""

    def replace(self, names: Mapping[str, Mapping[Locale, str]], *, after: str, now_ms: int) -> bool:
        """Replace all names atomically if their version is still `after`; False if it is not.

        Readers see either the previous names or these. Durable when it returns True.

        :param names: by merchant id the names by language, validated by `checked_name`.
        :param now_ms: milliseconds since 1970 UTC; part of the next version.
        :raises StoreUnavailable: the store could not be written, and the names are unchanged. If the connection broke
            at the moment of replacing, the result is unknown.
        """


def next_version(version: str, now_ms: int) -> str:
    """The version after `version`: the next number and the instant, as a restored store would repeat the number.

    >>> next_version("", 0xABC), next_version("9.abc", 0xDEF)
    ('1.abc', '10.def')
    """
    return f"{number_of(version) + 1}.{now_ms:x}"


def number_of(version: str) -> int:
    """The number of `version`."""
    return int(version.partition(".")[0] or 0)
