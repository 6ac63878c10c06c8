"""Tenants: each key acts for one, which owns everything that is created with the key.

Nothing that a key of one tenant does may read, change, cancel, redirect, count or reveal what was made for or by
another. The operator is the tenant of keys with neither a tenant's name nor merchants, and sees all.
"""

from __future__ import annotations

import re
from typing import Final

OPERATOR: Final = "operator"
"""The tenant of the operator, and of whatever has no other owner."""

_NAME: Final = re.compile(r"[\w.-]{1,64}")
NAME_RULE: Final = "1 to 64 letters, digits, '.', '_' and '-'"
"""What the name of a tenant may have, in words."""


def is_tenant_name(text: str) -> bool:
    """Whether keys can be given the tenant `text`.

    The operator's is none, nor are those of keys that are limited to merchants, which have a colon.
    """
    return _NAME.fullmatch(text) is not None and text != OPERATOR
