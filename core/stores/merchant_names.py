"""The interface of the store of merchant names: a whole set of names that the next one replaces.

They belong to no publication: runs neither read nor change them, and `rebuild --truncate` keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.calendar.periods import Locale
    from core.merchant_names import MerchantNames


class MerchantNameStore(Protocol):
    """Where the names of merchants are kept. Threads may share an instance, and take turns; processes may not."""

    def version(self) -> str:
        """The version that `read` would give; costs little, however many names there are.

        :raises StoreUnavailable: the store does not answer.
        """

    def read(self) -> MerchantNames:
        """All names, of one version.

        :raises StoreUnavailable: the store does not answer.
        """

    def replace(self, names: Mapping[str, Mapping[Locale, str]], *, after: str, now_ms: int) -> bool:
        """Replace all names, atomically, if their version still is `after`; whether it was.

        Readers see the names from before or these, and never a mix. Durable when it returns True.

        :param names: by language, by the id of the merchant; each name is one that `checked_name` gives.
        :param now_ms: milliseconds since 1970 UTC; part of the next version.
        :raises StoreUnavailable: the store could not be written; the names from before are still there. Only when the
            connection to a server broke at the very moment of replacing is it not known.
        """


def next_version(version: str, now_ms: int) -> str:
    """The version after `version`: the next number, and the instant, since a restored store counts the same numbers.

    >>> next_version("", 0xABC), next_version("9.abc", 0xDEF)
    ('1.abc', '10.def')
    """
    return f"{number_of(version) + 1}.{now_ms:x}"


def number_of(version: str) -> int:
    """How many changes led to `version`."""
    return int(version.partition(".")[0] or 0)
