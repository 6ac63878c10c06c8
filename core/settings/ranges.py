"""The allowed range of number variables, in words."""

from __future__ import annotations

from typing import Any

import annotated_types
from pydantic.fields import FieldInfo


def range_words(field: FieldInfo) -> str:
    """The range of `field`, such as "1 to 256" or "more than 0, up to 60"; empty without a range."""
    bounds: dict[type, Any] = {type(one): one for one in field.metadata}
    least, above = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Gt)
    most = bounds.get(annotated_types.Le)
    if least is not None:
        return f"{least.ge:,} to {most.le:,}" if most is not None else f"{least.ge:,} or more"
    return ", ".join([*([f"more than {above.gt:,}"] if above else []), *([f"up to {most.le:,}"] if most else [])])
