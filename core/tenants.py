"""Tenants: each API key belongs to one, which owns everything that is created with the key.

A key of one tenant must not read, change, cancel, redirect, count or reveal anything of another. The operator is the
tenant of keys with neither a tenant's name nor merchants, and sees everything.
"""

from __future__ import annotations

import re
from typing import Final

OPERATOR: Final = "operator"
"""The tenant of the operator, and of everything without another owner."""

_NAME: Final = re.compile(r"[\w.-]{1,64}")
NAME_RULE: Final = "1 to 64 letters, digits, '.', '_' and '-'"
"""The rule for tenant names, in words."""


def is_tenant_name(text: str) -> bool:
    """Whether `text` is a valid tenant name for keys.

    The operator's is not, nor are those of keys limited to merchants, which have a colon.
    """
    return _NAME.fullmatch(text) is not None and text != OPERATOR
